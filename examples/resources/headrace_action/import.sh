# PIPELINE/STAGE/ACTION in the provider's account, with ACCOUNT/ in front, or the
# resource name.
terraform import headrace_action.compile composed/Build/Compile
terraform import headrace_action.compile production/composed/Build/Compile
terraform import headrace_action.compile accounts/production/pipelines/composed/stages/Build/actions/Compile
