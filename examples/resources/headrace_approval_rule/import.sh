# NAME in the provider's account, ACCOUNT/NAME, or the resource name.
terraform import headrace_approval_rule.release release
terraform import headrace_approval_rule.release production/release
terraform import headrace_approval_rule.release accounts/production/approvalRules/release
