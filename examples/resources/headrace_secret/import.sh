# NAME in the provider's account, ACCOUNT/NAME, or the resource name. The next apply sets the
# value of the configuration.
terraform import headrace_secret.registry_token registry-token
terraform import headrace_secret.registry_token production/registry-token
terraform import headrace_secret.registry_token accounts/production/secrets/registry-token
