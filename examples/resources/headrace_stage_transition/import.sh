# PIPELINE/STAGE in the provider's account, ACCOUNT/PIPELINE/STAGE, or the
# resource name of the stage.
terraform import headrace_stage_transition.release web/Release
terraform import headrace_stage_transition.release production/web/Release
terraform import headrace_stage_transition.release accounts/production/pipelines/web/stages/Release
