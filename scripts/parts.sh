#!/usr/bin/env bash
# Puts what tests run against into build/parts: a Gitea, and packages of npm (Azurite,
# GitHub's example deliveries and the description of its API). Gitea takes minutes for the first time.
# Arguments choose parts: gitea, npm. All without arguments.
set -euo pipefail
cd "$(dirname "$0")/.."
parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(gitea npm)
mkdir -p build/parts
for part in "${parts[@]}"; do
  case "$part" in
    gitea)
      # Gitea's database is a library in C.
      CGO_ENABLED=1 GOFLAGS= go build -modfile=tools/gitea/go.mod -tags sqlite,sqlite_unlock_notify \
        -ldflags '-s -w' -o build/parts/gitea code.gitea.io/gitea
      ;;
    npm)
      npm install --silent --no-fund --no-audit --prefix build/parts/npm azurite@3 @octokit/webhooks-examples@7.6.1 @octokit/openapi@23.0.2
      ;;
    *)
      echo "unknown part $part: use gitea or npm" >&2
      exit 2
      ;;
  esac
done
