resource "headrace_pipeline" "network" {
  name = "network"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.network.name
  name     = "Source"
  order    = 1
}

resource "headrace_action" "fetch" {
  pipeline         = headrace_stage.source.pipeline
  stage            = headrace_stage.source.name
  name             = "Fetch"
  category         = "Source"
  owner            = "Headrace"
  provider_name    = "Git"
  version          = "1"
  output_artifacts = ["source"]

  configuration = {
    RepositoryUrl = "https://example.com/network.git"
  }
}

resource "headrace_stage" "plan" {
  pipeline = headrace_pipeline.network.name
  name     = "Plan"
  order    = 2
}

resource "headrace_action" "plan" {
  pipeline        = headrace_stage.plan.pipeline
  stage           = headrace_stage.plan.name
  name            = "Plan"
  category        = "Build"
  owner           = "Headrace"
  provider_name   = "Commands"
  version         = "1"
  input_artifacts = headrace_action.fetch.output_artifacts
  commands        = ["terraform plan"]
}
