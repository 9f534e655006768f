resource "headrace_pipeline" "web" {
  name    = "web"
  publish = "explicit"
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

resource "headrace_pipeline_version" "web" {
  pipeline = headrace_pipeline.web.name

  depends_on = [headrace_action.fetch, headrace_action.compile]
}
