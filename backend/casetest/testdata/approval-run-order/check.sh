# The approval has the run order of the deployment, which is the default.
apply || fault "no apply"
grep -q '^Warning: Approval "Approve" of stage "Production" does not hold back action "Deploy" ' apply.log || fault "no warning at the plan"
headrace run gate
await 'DEPLOYED' headrace logs gate Deploy

# With the run order that the warning asks for it is gone.
sed -i 's/name            = "Deploy"/&\n      run_order       = 2/' main.tf
apply || fault "no second apply"
grep -q 'does not hold back' apply.log && fault "a warning where the run orders differ"
true
