# NAME in the provider's account, ACCOUNT/NAME, or the resource name. The next apply sets the
# secret of the configuration.
terraform import headrace_webhook.gitlab gitlab
terraform import headrace_webhook.gitlab production/gitlab
terraform import headrace_webhook.gitlab accounts/production/webhooks/gitlab
