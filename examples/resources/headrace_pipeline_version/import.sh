# PIPELINE in the provider's account, ACCOUNT/PIPELINE, or the resource name of
# the pipeline.
terraform import headrace_pipeline_version.composed composed
terraform import headrace_pipeline_version.composed production/composed
terraform import headrace_pipeline_version.composed accounts/production/pipelines/composed
