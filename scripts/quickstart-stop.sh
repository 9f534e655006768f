#!/usr/bin/env bash
# Stops the quickstart's server and keeps its data.
set -euo pipefail

# shellcheck source=scripts/quickstart-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/quickstart-lib.sh"

if pid=$(server_pid); then
  stop_server
  say "stopped headraced (process $pid); its data is still in $work"
else
  rm -f "$pid_file"
  say "no headraced runs in $work"
fi
