# What a user does with a secret, in whose output it must not be. The test reads every file
# that this leaves, and knows the value, which is in TF_VAR_token.
export TF_LOG=TRACE TF_LOG_PATH=trace.log
terraform plan -input=false -no-color -out plan.bin >plan.log 2>&1
terraform show -json plan.bin >plan.json
terraform apply -input=false -no-color plan.bin >apply.log 2>&1
unset TF_LOG TF_LOG_PATH
terraform plan -input=false -no-color -detailed-exitcode >second.log 2>&1 || fault "the second plan is not empty"
terraform state pull >state.json
timeout 60 headrace run sentinel -f >run.log 2>&1 && fault "the execution succeeded"
headrace execution show 'sentinel#1' -o json >execution.json
headrace explain sentinel >explain.log
headrace logs 'sentinel#1' Build/Talk >talk.log
headrace logs 'sentinel#1' Deploy/Fail >fail.log
headrace execution watch 'sentinel#1' -o json >events.log 2>&1 || true
headrace secret list -o json >list.json
headrace secret show token >show.log
printf %s "$TF_VAR_token" | headrace secret set token >set.log
printf '%s\0' "$TF_VAR_token" | headrace secret set token >refused.log 2>&1 && fault "a NUL byte was taken"
headrace secret delete token >delete.log 2>&1 && fault "a secret in use was deleted"
terraform plan -input=false -no-color >drift.log 2>&1
grep -q 'value_wo_version *= 1' drift.log || fault "the plan does not show the other value"
apply -var token_version=2 >/dev/null || fault "no apply of another version"
terraform destroy -auto-approve -input=false -no-color >destroy.log 2>&1
