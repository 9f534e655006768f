# The stages of an aws_codepipeline run, through a connection to a private repository.
plan -var arn=arn:aws:codestar-connections:eu-central-1:123456789012:connection/1 && fault "an ARN of AWS passed the plan"
grep -q 'headrace_connection' plan.log || fault "the plan does not say what to write instead of an ARN of AWS"
apply || fault "no apply"
plan -detailed-exitcode || fault "the second plan is not empty"
run web || fault "the execution failed"
headrace logs 'web#1' Source/Source >source.log
headrace logs 'web#1' Build/Build >build.log
grep -q 'built First on HEAD -> main' build.log || fault "the clone is not on its branch"
grep -q 'of acme/web' build.log || fault "the variables of the source are missing"
headrace execution show 'web#1' -o json >execution.json

# A token in the configuration is sealed. The plan says so, and a second one changes nothing.
export TF_VAR_oauth_token=$OAUTH_TOKEN
plan || fault "no plan with OAuthToken"
grep -q 'OAuthToken of action "Source" is a secret in the configuration' plan.log || fault "the plan does not warn of OAuthToken"
grep -q 'headrace_connection' plan.log || fault "the warning does not name headrace_connection"
apply >/dev/null || fault "no apply with OAuthToken"
plan -detailed-exitcode || fault "the second plan with OAuthToken is not empty"
headrace pipeline show old -o json >old.json
headrace pipeline export old >old.export 2>&1 || true
terraform state rm 'headrace_pipeline.old[0]' >/dev/null
terraform import -input=false 'headrace_pipeline.old[0]' old >import.log 2>&1 || fault "no import"
# Terraform marks the imported configuration as sensitive once.
apply >/dev/null || fault "no apply after an import with OAuthToken"
plan -detailed-exitcode || fault "the plan after an import with OAuthToken is not empty"
headrace pipeline show old -o json | grep -q '"version": "1"' || fault "the import made a version"
