# A trigger that Terraform declares starts an execution of the exact commit, and only for what
# its filters let through.
apply || fault "no apply"
plan -detailed-exitcode || fault "the second plan is not empty"
# The refs are read once the trigger exists, which starts nothing.
headrace trigger backfill web
headrace execution list web | grep -q 'web#' && fault "the creation of the trigger started an execution"

# push MESSAGE FILE CONTENT: commits a file and pushes it to main.
push() {
  mkdir -p "source/$(dirname "$2")"
  echo "$3" >"source/$2"
  commit source "$1"
  git -C source push -q origin HEAD:main
  headrace trigger backfill web
}
push "Ship the page" web/page first
await 'Succeeded' headrace execution list web
headrace logs 'web#1' Build/Show >build.log
grep -q 'built first for Ship the page' build.log || fault "the execution has another commit, or no variable of the event"
push "Write docs" docs/page second
await 'web/\*\*' headrace trigger explain web --commit "$(git -C source rev-parse HEAD)"
headrace execution list web | grep -q 'web#2' && fault "a push of other files started an execution"

# What no branch of the repository matches is a warning of the plan, with the likely reason.
plan -var branch=master || fault "no plan of another branch"
tr -s ' │\n' ' ' <plan.log | grep -q 'its default branch is "main"' || fault "the plan does not warn of a branch that does not exist"
plan -var 'blocks=["master"]' || { cat plan.log; fault "no plan of a trigger block"; }
tr -s ' │\n' ' ' <plan.log | grep -q 'its default branch is "main"' || fault "the plan does not warn of a branch of a trigger block that does not exist"
plan -detailed-exitcode || fault "a plan after executions is not empty"
grep -q 'matches no' plan.log && fault "a plan of a trigger that matches warns"

terraform state rm headrace_trigger.web >/dev/null
terraform import -input=false headrace_trigger.web web >import.log 2>&1 || fault "no import"
plan -detailed-exitcode || fault "the plan after an import is not empty"

headrace trigger pause web --reason freeze
plan -detailed-exitcode || fault "a pause is a difference"
push "Ship again" web/page third
headrace execution list web | grep -q 'web#2' && fault "a paused trigger started an execution"
terraform destroy -auto-approve -input=false -no-color >destroy.log 2>&1 || fault "no destroy"
