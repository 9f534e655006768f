#!/usr/bin/env bash
# Starts a server, declares a pipeline with Terraform, runs it, approves it as
# another person, and checks that the program was built, installed and run.
# `make quickstart` builds bin/ first.
#
# HEADRACE_QUICKSTART_DIR  directory for all data (default build/quickstart)
# TF_BINARY                the terraform or tofu to use
set -euo pipefail

# shellcheck source=scripts/quickstart-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/quickstart-lib.sh"

began=$SECONDS
approver=
locked=
pipeline=web

# The user's environment may point to another server or configuration. If it has a
# token, the closing text says to unset it.
own_token=${HEADRACE_TOKEN:+yes}
unset HEADRACE_ENDPOINT HEADRACE_TOKEN HEADRACE_TOKEN_FILE HEADRACE_ACCOUNT HEADRACE_CA_CERT_FILE \
  HEADRACE_CLIENT_CERT_FILE HEADRACE_CLIENT_KEY_FILE HEADRACE_INSECURE
unset TF_CLI_ARGS TF_CLI_ARGS_init TF_CLI_ARGS_apply TF_CLI_ARGS_output TF_DATA_DIR TF_WORKSPACE \
  TF_PLUGIN_CACHE_DIR TF_REATTACH_PROVIDERS TF_LOG
if [ ! -t 1 ]; then
  export TF_CLI_ARGS_apply=-no-color TF_CLI_ARGS_output=-no-color
fi

# leave stops what this script started. The server keeps running only after success.
leave() {
  local code=$?
  trap - EXIT INT TERM HUP
  if [ -n "$approver" ]; then
    kill "$approver" 2>/dev/null || true
    wait "$approver" 2>/dev/null || true
  fi
  if [ -n "$locked" ]; then
    rm -f "$lock_file"
  fi
  if [ "$code" -ne 0 ] && [ -n "$locked" ]; then
    stop_server || true
    printf 'quickstart: failed; the server is stopped, its log is %s\n' "$work/headraced.log" >&2
  fi
  exit "$code"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# lock refuses to run twice at the same time in one directory. The file of a run
# that was killed names a process that does not exist or is not a quickstart.
lock() {
  local other
  lock_file=$work/quickstart.pid
  other=$(cat "$lock_file" 2>/dev/null) || true
  case $other in
  '' | *[!0-9]*) ;;
  *)
    case $(kill -0 "$other" 2>/dev/null && command_of "$other") in
    *quickstart.sh*) fail "another quickstart (process $other) is running in $work; wait for it, or set HEADRACE_QUICKSTART_DIR to another directory" ;;
    esac
    ;;
  esac
  printf '%s\n' $$ >"$lock_file"
  locked=yes
}

headrace() { "$root/bin/headrace" "$@"; }

check_tools() {
  local name
  for name in git go; do
    command -v "$name" >/dev/null || fail "$name is not on PATH; install it"
  done
  for name in headraced headrace terraform-provider-headrace; do
    [ -x "$root/bin/$name" ] || fail "bin/$name is missing; run make quickstart, which builds it"
  done
}

# find_terraform sets tf. If neither Terraform nor OpenTofu is installed, it builds
# OpenTofu from its Go module once.
find_terraform() {
  tf=${TF_BINARY:-}
  if [ -n "$tf" ]; then
    command -v "$tf" >/dev/null || fail "TF_BINARY is $tf, which is not an executable program"
    return
  fi
  for tf in terraform tofu; do
    if command -v "$tf" >/dev/null; then
      return
    fi
  done
  tf=$root/build/tools/tofu
  if [ ! -x "$tf" ]; then
    say "neither terraform nor tofu is on PATH; building OpenTofu from its Go module (once, takes a few minutes)"
    mkdir -p "$root/build/tools"
    (cd "$root/tools/tofu" && go build -trimpath -o "$tf.new" github.com/opentofu/opentofu/cmd/tofu)
    mv "$tf.new" "$tf"
  fi
}

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# choose_ports sets grpc_port and http_port: the defaults, or the next pair of free
# ports.
choose_ports() {
  local first
  for first in 7480 17480 27480 37480 47480 57480; do
    grpc_port=$first
    http_port=$((first + 1))
    if ! port_taken "$grpc_port" && ! port_taken "$http_port"; then
      [ "$first" = 7480 ] || say "port 7480 or 7481 is in use; using $grpc_port and $http_port"
      return
    fi
  done
  fail "no free pair of ports; stop the programs that listen on 7480 and 7481"
}

# start_server starts headraced in its own process group, so that Ctrl-C reaches
# this script and not the server, and waits until it answers.
#
# Isolation is off because Deploy installs to a directory of this machine, which
# bubblewrap prevents. Turn it off only for pipelines that you trust.
start_server() {
  local tries=0
  set -m
  # The shell writes its own id before it becomes the server, so that a running
  # server always has a pid file.
  # shellcheck disable=SC2016 # The inner shell expands these.
  nohup sh -c 'echo $$ >"$1" && shift && exec "$@"' sh "$pid_file" \
    "$root/bin/headraced" --data-dir "$data" --isolation none \
    --grpc-listen "127.0.0.1:$grpc_port" --http-listen "127.0.0.1:$http_port" \
    >>"$work/headraced.log" 2>&1 </dev/null &
  set +m
  export HEADRACE_ENDPOINT=127.0.0.1:$grpc_port
  export HEADRACE_TOKEN_FILE=$data/admin.token
  until headrace whoami >/dev/null 2>&1; do
    tries=$((tries + 1))
    if ! kill -0 $! 2>/dev/null || [ "$tries" -gt 60 ]; then
      tail -n 20 "$work/headraced.log" >&2
      fail "the server did not start; see $work/headraced.log"
    fi
    sleep 0.2
  done
}

# make_repository creates a git repository from examples/quickstart/app. It keeps an
# existing one, with the commits that the user added.
make_repository() {
  local new=$work/repository.new
  repository=$work/repository
  [ ! -d "$repository" ] || return 0
  rm -rf "$new"
  cp -R "$root/examples/quickstart/app" "$new"
  (
    cd "$new"
    # Without the user's git templates, hooks and signatures.
    git -c init.templateDir= init --quiet
    git symbolic-ref HEAD refs/heads/main
    git add --all
    git -c user.name="Headrace Quickstart" -c user.email=quickstart@example.com -c commit.gpgSign=false \
      -c core.hooksPath=/dev/null commit --quiet --message "Count the words of a text"
  )
  mv "$new" "$repository"
}

# approver_token creates a token for alice, who can approve and nothing else.
approver_token() {
  alice=$work/alice.token
  if [ -s "$alice" ] && HEADRACE_TOKEN_FILE=$alice headrace whoami >/dev/null 2>&1; then
    return
  fi
  rm -f "$alice"
  (umask 077 && headrace token create --principal alice --role default=approver >"$alice.new" 2>"$work/token.log") ||
    fail "cannot create alice's token: $(cat "$work/token.log")"
  mv "$alice.new" "$alice"
}

# apply runs terraform init and apply with the provider that was just built. It comes
# from a mirror on disk, so that no registry is needed.
apply() {
  local platform mirror
  platform=$(go env GOHOSTOS)_$(go env GOHOSTARCH)
  mirror=$work/mirror/registry.terraform.io/headrace/headrace/0.1.0/$platform
  mkdir -p "$mirror" "$work/terraform"
  cp "$root/bin/terraform-provider-headrace" "$mirror/new"
  mv -f "$mirror/new" "$mirror/terraform-provider-headrace_v0.1.0"
  cp "$root/examples/quickstart/main.tf" "$work/terraform/main.tf"
  cat >"$work/terraform.rc" <<EOF
disable_checkpoint = true

provider_installation {
  filesystem_mirror {
    path = "$work/mirror"
  }
}
EOF
  # The lock file and the installed copy belong to the previous binary.
  rm -rf "$work/terraform/.terraform" "$work/terraform/.terraform.lock.hcl"
  # An apply that was killed leaves its lock, and only this script uses the state.
  rm -f "$work/terraform/.terraform.tfstate.lock.info"
  export TF_CLI_CONFIG_FILE=$work/terraform.rc TF_IN_AUTOMATION=1 TF_INPUT=0
  export TF_VAR_repository_url=file://$repository TF_VAR_deploy_dir=$work/deployed TF_VAR_show_last_execution=false
  if [ -n "$(headrace execution list "$pipeline" --limit 1 -o json 2>/dev/null | ids)" ]; then
    TF_VAR_show_last_execution=true
  fi
  TF_VAR_go_cache=$(go env GOCACHE)
  export TF_VAR_go_cache
  terraform_in init -no-color >"$work/init.log" 2>&1 || {
    cat "$work/init.log" >&2
    fail "$tf init failed"
  }
  adopt headrace_pipeline.web "$pipeline" pipeline show "$pipeline"
  adopt headrace_approval_rule.ship ship approval-rule show ship
  terraform_in apply -auto-approve
}

# adopt imports an object that the server has and Terraform's state does not, for
# example after an apply was killed. The arguments after the id are the headrace
# command that succeeds if the server has the object.
adopt() {
  local address=$1 id=$2
  shift 2
  if headrace "$@" >/dev/null 2>&1 && ! terraform_in state show "$address" >/dev/null 2>&1; then
    say "$id already exists on the server; importing it"
    terraform_in import -no-color "$address" "$id" >"$work/import.log" 2>&1 || {
      cat "$work/import.log" >&2
      fail "$tf import failed"
    }
  fi
}

# terraform_in runs Terraform. The provider reads the token from the environment, so
# that no file of Terraform has it.
terraform_in() {
  "$tf" -chdir="$work/terraform" "$@"
}

# approve_when_asked approves as alice once the execution waits for an approval.
approve_when_asked() {
  local tries=0
  export HEADRACE_TOKEN_FILE=$alice
  until headrace explain "$1" -o json 2>/dev/null | grep -q WAIT_KIND_APPROVAL; do
    tries=$((tries + 1))
    [ "$tries" -le 1200 ] || exit 1
    sleep 0.5
  done
  # Long enough to be seen.
  sleep 1
  headrace approve "$1" --stage Approve --action Approve --yes --comment "Tests are green: ship it."
}

# ids prints the ids of the executions in a JSON document.
ids() { sed -n 's/.*"id": *"\([0-9a-f-]*\)".*/\1/p'; }

# end_leftovers stops executions that an interrupted run left waiting, because the
# next execution would wait for them.
end_leftovers() {
  local id
  for id in $(headrace execution list "$pipeline" --status InProgress,Stopping -o json | ids); do
    say "stopping execution $id of an earlier run"
    headrace execution stop "$id" --abandon --reason "of an earlier quickstart" >/dev/null || true
  done
}

# run_pipeline starts an execution, shows it, and sets execution to its id.
run_pipeline() {
  local code=0
  execution=$(headrace run "$pipeline" -o json | ids | head -n 1)
  [ -n "$execution" ] || fail "the execution did not start"
  approve_when_asked "$execution" >"$work/approve.log" 2>&1 &
  approver=$!
  headrace execution watch "$execution" || code=$?
  if [ "$code" -ne 0 ]; then
    headrace logs "$execution" >&2 || true
    fail "the execution did not succeed"
  fi
  wait "$approver" || fail "alice could not approve: $(cat "$work/approve.log")"
  approver=
}

# check_deployed runs the installed program, and compares its output and the output of
# its run in the pipeline with the repository.
check_deployed() {
  local commit version report
  commit=$(git -C "$repository" rev-parse HEAD)
  version=$("$work/deployed/tally" -version) || fail "the deployed program does not run"
  case $version in
  "tally "*"+$commit") ;;
  *) fail "the deployed program is '$version', not that of commit $commit" ;;
  esac
  report=$work/deployed/report-$execution.txt
  [ -s "$report" ] || fail "the execution did not run the deployed program: $report is missing"
  if ! git -C "$repository" show HEAD:sample.txt | "$work/deployed/tally" -top 3 | diff - "$report" >&2; then
    fail "the execution's report $report is not what the program prints"
  fi
  say "the deployed program runs: $version"
  cat "$report"
}

check_tools
mkdir -p "$work"
lock
find_terraform
say "using $tf: $("$tf" version 2>/dev/null | sed -n '/^Terraform v/p;/^OpenTofu v/p')"

stop_server
choose_ports
start_server
say "headraced runs on $HEADRACE_ENDPOINT (process $(cat "$pid_file")), data in $data"
say "commands run with --isolation none, because Deploy installs to a directory of this machine"

make_repository
say "repository of the program: $repository"

approver_token
say "$tf apply of examples/quickstart"
apply

end_leftovers
say "run the pipeline; alice approves it once it waits"
run_pipeline
printf '%s\n' "$(cat "$work/approve.log")"

say "$tf output of the data source"
TF_VAR_show_last_execution=true
terraform_in apply -auto-approve >"$work/apply.log" 2>&1 || {
  cat "$work/apply.log" >&2
  fail "reading the last execution failed"
}
terraform_in output last_execution

check_deployed

stop_command="make quickstart-stop"
if [ -n "${HEADRACE_QUICKSTART_DIR:-}" ]; then
  stop_command="HEADRACE_QUICKSTART_DIR=$work $stop_command"
fi

cat <<EOF

Done in $((SECONDS - began)) seconds. Everything is in $work

Use this server from a shell, as admin:
${own_token:+  unset HEADRACE_TOKEN
}  export HEADRACE_ENDPOINT=$HEADRACE_ENDPOINT HEADRACE_TOKEN_FILE=$data/admin.token
  export PATH=$root/bin:\$PATH

Try next:
  headrace execution show $pipeline
  headrace logs $pipeline Compile
  headrace run $pipeline --var Top=5
  headrace explain $pipeline
  headrace approve $pipeline --comment "again" --token-file $alice   # as alice
  headrace execution watch $pipeline
  edit and commit in $repository, then run again

Stop the server:
  $stop_command
EOF
