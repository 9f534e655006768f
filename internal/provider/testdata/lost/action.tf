resource "headrace_action" "lost" {
  pipeline        = "web"
  stage           = "Build"
  name            = "Lost"
  category        = "Build"
  owner           = "Headrace"
  provider_name   = "Commands"
  version         = "1"
  input_artifacts = ["source"]
  commands        = ["make"]
}
