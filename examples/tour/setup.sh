#!/bin/sh
# Prepares the directory that the tour of README.md runs in: a git repository with the
# program in hello/, and a Terraform configuration that takes the provider from the
# directory of the headrace program on PATH, because it is not in a registry yet. It can
# run again: it keeps the repository.
set -eu
cd "$(dirname "$0")"

bin=$(dirname "$(command -v headrace)")
cat > dev.tfrc <<EOT
provider_installation {
  dev_overrides {
    "registry.terraform.io/headrace/headrace" = "$bin"
  }
  direct {}
}
EOT

echo "wrote dev.tfrc, which uses the provider in $bin"

cd hello
if [ -d .git ] && git rev-parse -q --verify refs/heads/main > /dev/null; then
  echo "kept the git repository in $(pwd)"
  exit
fi
git init -q
git symbolic-ref HEAD refs/heads/main
git add .
git -c user.name=Me -c user.email=me@example.com -c commit.gpgSign=false commit -q -m "Say hello"
echo "created a git repository in $(pwd)"
