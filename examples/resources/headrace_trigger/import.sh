# NAME in the provider's account, ACCOUNT/NAME, or the resource name.
terraform import headrace_trigger.main main
terraform import headrace_trigger.main production/main
terraform import headrace_trigger.main accounts/production/triggers/main
