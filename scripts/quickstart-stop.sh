#!/usr/bin/env bash
# Stops the quickstart's server. Its data stay.
set -euo pipefail

# shellcheck source=scripts/quickstart-lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/quickstart-lib.sh"

if pid=$(server_pid); then
  stop_server
  say "stopped headraced (process $pid); its data stay in $work"
else
  rm -f "$pid_file"
  say "headraced does not run from $work"
fi
