# shellcheck shell=bash
# Functions for the checks of the cases. A case fails if its check reports a fault, or if
# a command fails whose failure the check does not handle.
set -eu
faults=0

# fault WORDS: reports what is wrong.
fault() {
  echo "FAULT: $*"
  faults=$((faults + 1))
}

# commit DIRECTORY MESSAGE: commits all files.
commit() {
  git -C "$1" add -A && git -C "$1" commit -q -m "$2"
}

# apply ARGUMENTS: runs terraform apply, writes apply.log and prints it.
apply() {
  local code=0
  terraform apply -auto-approve -input=false -no-color "$@" >apply.log 2>&1 || code=$?
  cat apply.log
  return $code
}

# plan ARGUMENTS: runs terraform plan and writes plan.log.
plan() {
  terraform plan -input=false -no-color "$@" >plan.log 2>&1
}

# run PIPELINE ARGUMENTS: runs an execution to its end, writes run.log and prints it.
run() {
  local code=0
  timeout 60 headrace run "$@" -f >run.log 2>&1 || code=$?
  cat run.log
  return $code
}

# await TEXT COMMAND: repeats a command until its output has the text, for a minute at most.
await() {
  local text=$1 last=$((SECONDS + 60))
  shift
  until "$@" 2>&1 | grep -q -- "$text"; do
    [ "$SECONDS" -lt "$last" ] || {
      fault "after a minute, $* does not show $text"
      return
    }
  done
}
