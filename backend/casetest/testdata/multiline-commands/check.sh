# A command that is not complete by itself says so.
printf 'if ! command -v mytool >/dev/null 2>&1; then\n  echo installing\nfi\necho done\n' >steps.sh
if apply; then
  run multi || true
  headrace logs multi Lines
fi
grep -q 'Succeeded in' run.log || grep -qi 'on its own\|by itself' run.log apply.log ||
  fault "neither the plan nor the execution says that each command must be complete by itself"
