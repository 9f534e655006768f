# NAME in the provider's account, ACCOUNT/NAME, or the resource name. The next apply sets the
# credentials of the configuration.
terraform import headrace_connection.github github
terraform import headrace_connection.github production/github
terraform import headrace_connection.github accounts/production/connections/github
