# A secret that does not exist is a warning of the plan. The action that needs it fails before
# its commands run, and names it. Once it is set, a retry runs them.
plan && grep -q 'secret "token" does not exist in account "default"' plan.log || fault "the plan does not warn"
apply || fault "no apply"
run needs && fault "the execution succeeded"
grep -q 'ConfigurationError: secret "token" does not exist' run.log || fault "the failure does not name the secret"
headrace logs 'needs#1' Build/Use 2>&1 | grep -q 'the length' && fault "the commands ran"
printf hunter22 | headrace secret set token || fault "the secret cannot be set"
headrace execution retry 'needs#1' -f || fault "the retry failed"
headrace logs 'needs#1' Build/Use | grep -q '^the length is 8$' || fault "the commands did not get the value"
plan -detailed-exitcode || fault "the second plan is not empty"
! grep -q 'does not exist' plan.log || fault "the plan still warns"
headrace secret delete token 2>&1 | grep -q 'is used by the newest version of pipeline "needs"' || fault "it can be deleted"
