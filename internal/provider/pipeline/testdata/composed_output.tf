resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.web.name
  name     = "Source"
  order    = 10
}

resource "headrace_action" "fetch" {
  pipeline         = headrace_pipeline.web.name
  stage            = headrace_stage.source.name
  name             = "Fetch"
  category         = "Source"
  owner            = "Headrace"
  provider_name    = "Git"
  version          = "1"
  output_artifacts = ["source"]

  configuration = {
    RepositoryUrl = "https://example.com/web.git"
  }
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 20
}

resource "headrace_action" "compile" {
  pipeline        = headrace_pipeline.web.name
  stage           = headrace_stage.build.name
  name            = "Compile"
  category        = "Build"
  owner           = "Headrace"
  provider_name   = "Commands"
  version         = "1"
  input_artifacts = ["source"]
  commands        = ["make"]
}

output "pipeline" {
  value = {
    name    = headrace_pipeline.web.name
    version = headrace_pipeline.web.version
  }
}
