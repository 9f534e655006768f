# Nothing here refers to the rule, and the rule refers to nothing.
resource "headrace_approval_rule" "network_apply" {
  name      = "network-apply"
  pipelines = ["network"]
  stages    = ["Apply"]
  actions   = ["Ok"]
}

resource "headrace_stage" "apply" {
  pipeline = headrace_pipeline.network.name
  name     = "Apply"
  order    = 3
}

resource "headrace_action" "ok" {
  pipeline      = headrace_stage.apply.pipeline
  stage         = headrace_stage.apply.name
  name          = "Ok"
  category      = "Approval"
  owner         = "Headrace"
  provider_name = "Manual"
  version       = "1"
}
