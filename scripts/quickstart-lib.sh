# shellcheck shell=bash
# Shared by quickstart.sh and quickstart-stop.sh: paths, and the server's process.
# Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=${HEADRACE_QUICKSTART_DIR:-$root/build/quickstart}
case $work in
/*) ;;
*) work=$PWD/$work ;;
esac
data=$work/data
pid_file=$work/headraced.pid

say() { printf '==> %s\n' "$*"; }

fail() {
  printf 'quickstart: %s\n' "$*" >&2
  exit 1
}

# command_of prints the command line of a process. Small systems have no ps.
command_of() {
  if [ -r "/proc/$1/cmdline" ]; then
    tr '\0' ' ' <"/proc/$1/cmdline"
  else
    ps -p "$1" -o command= 2>/dev/null || true
  fi
}

# server_pid prints the process id of our server if it runs. A pid file can outlive its
# process, and the id can belong to another process: ours has our data directory in its
# command line.
server_pid() {
  local pid
  [ -f "$pid_file" ] || return 1
  pid=$(cat "$pid_file")
  case $pid in
  '' | *[!0-9]*) return 1 ;;
  esac
  kill -0 "$pid" 2>/dev/null || return 1
  case $(command_of "$pid") in
  *headraced*"--data-dir $data "*) printf '%s\n' "$pid" ;;
  *) return 1 ;;
  esac
}

# stop_server stops our server, by force if it does not stop otherwise. It succeeds if no
# server runs.
stop_server() {
  local pid tries=0
  if pid=$(server_pid); then
    kill -TERM "$pid" 2>/dev/null || true
    # Not with kill -0: a dead process keeps its id until it is reaped.
    while server_pid >/dev/null; do
      tries=$((tries + 1))
      if [ "$tries" -gt 450 ]; then
        kill -KILL "$pid" 2>/dev/null || true
      fi
      [ "$tries" -le 500 ] || fail "the server (process $pid) does not stop"
      sleep 0.1
    done
  fi
  rm -f "$pid_file"
}
