#!/bin/sh
# Prepares the directory that the tour of README.md runs in: a git repository with the
# program in hello/, and a Terraform configuration that takes the provider from the
# directory of the headrace program on PATH, because it is not in a registry yet.
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

cd hello
git init -q
git symbolic-ref HEAD refs/heads/main
git add .
git -c user.name=Me -c user.email=me@example.com -c commit.gpgSign=false commit -q -m "Say hello"
echo "created dev.tfrc, which uses the provider in $bin, and a git repository in $(pwd)"
