# A smoke test fails outside of the deployment window, and two people would have to approve.
apply || fault "no apply"
grep -q '^Warning: Automatic rollbacks of stage "Production" wait' apply.log || fault "no warning that a rollback waits"

# A deployer does not decide that rollbacks pass without the approvals of a rule.
as dan terraform apply -auto-approve -input=false -no-color -var at_once=true >apply.log 2>&1 && fault "a deployer lets rollbacks skip approvals"
tr -d '\n│' <apply.log | grep -q 'approval rule "people" guards stage Production of pipeline web' || fault "the refusal names no rule: $(cat apply.log)"
apply -var at_once=true || fault "no apply by an admin"
grep -q '^Warning: Automatic rollbacks' apply.log && fault "a warning although rollbacks do not wait"
terraform plan -detailed-exitcode -input=false -no-color -var at_once=true >plan.log || fault "the second plan is not empty: $(cat plan.log)"

release 1
await '#1  *Succeeded' headrace explain "web#1"
echo bad >repo/release
commit repo Bad
release 2
await '#3  *Succeeded' headrace explain "web#3"
[ "$(cat live)" = good ] || fault "the release before is not back: $(cat live)"
headrace execution show "web#3" >show.log
grep -q 'entry: skipped by on_rollback of stage Production (rule people)' show.log || fault "the record does not say that nobody was asked: $(cat show.log)"
headrace pipeline show web | grep -q 'on-rollback  *skips conditions and approvals' || fault "pipeline show does not show on_rollback"
headrace explain "web#3" >explain.log
grep -q 'skipped the approval of the entry, condition before_entry' explain.log || fault "explain does not say what was skipped: $(cat explain.log)"

# A rollback that a person starts meets the gates.
headrace rollback web Production --to 1
await 'waits for people' headrace explain "web#4"
headrace execution stop "web#4"
await '#4  *Stopped' headrace explain "web#4"

# An edit of something else leaves the earlier success usable, one of the stage does not.
apply -var at_once=true -var description=second || fault "no apply of an edit"
release 5
await '#6  *Succeeded' headrace explain "web#6"
[ "$(cat live)" = good ] || fault "the release before is not back after an edit: $(cat live)"
apply -var at_once=true -var description=second -var 'command=cp -v release' || fault "no apply of an edit of the stage"
release 7
await '#7  *Failed' headrace explain "web#7"
headrace explain "web#7" >explain.log
grep -q 'stage Production changed between version .* and version .*: commands of action Deploy' explain.log || fault "explain does not say what changed: $(cat explain.log)"
headrace rollback web Production --to 1 >rollback.log 2>&1 && fault "a rollback to a success of another stage"
grep -q 'commands of action Deploy' rollback.log || fault "the refusal does not say what changed: $(cat rollback.log)"
cat show.log explain.log rollback.log
