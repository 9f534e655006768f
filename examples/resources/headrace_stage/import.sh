# PIPELINE/STAGE in the provider's account, ACCOUNT/PIPELINE/STAGE, or the
# resource name.
terraform import headrace_stage.build composed/Build
terraform import headrace_stage.build production/composed/Build
terraform import headrace_stage.build accounts/production/pipelines/composed/stages/Build
