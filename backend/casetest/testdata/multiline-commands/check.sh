# An if that is spread over several commands: the plan warns, and the failure says why.
printf 'if ! command -v mytool >/dev/null 2>&1; then\n  echo installing\nfi\necho done\n' >steps.sh
apply || fault "no apply"
grep -q '^Warning: .*is not complete by itself' apply.log || fault "no warning at the plan"
run multi && fault "it cannot succeed"
grep -q 'command 1 of 4 .* is not complete by itself' run.log || fault "the failure does not name its cause"

# The same with Windows line endings is refused, by that name.
sed -i 's/$/\r/' steps.sh
if apply; then
  fault "Windows line endings are accepted"
fi
grep -q 'Windows line' apply.log || fault "the refusal does not name Windows line endings"
