# NAME in the provider's account, ACCOUNT/NAME, or the resource name.
terraform import headrace_pipeline.web web
terraform import headrace_pipeline.web production/web
terraform import headrace_pipeline.web accounts/production/pipelines/web
