variable "own" {
  type    = string
  default = null
}

resource "headrace_pipeline" "web" {
  account = var.own
  name    = "web"
  publish = "explicit"
}

resource "headrace_stage" "source" {
  account  = var.own
  pipeline = headrace_pipeline.web.name
  name     = "Source"
  order    = 10
}

resource "headrace_stage" "build" {
  account  = var.own
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 20
}

resource "headrace_action" "fetch" {
  account          = var.own
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

resource "headrace_action" "compile" {
  account         = var.own
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
  account  = var.own
  pipeline = headrace_pipeline.web.name

  triggers = {
    fetch   = headrace_action.fetch.etag
    compile = headrace_action.compile.etag
  }
}

resource "headrace_stage_transition" "build" {
  account         = var.own
  pipeline        = headrace_pipeline_version.web.pipeline
  stage           = headrace_stage.build.name
  enabled         = false
  disabled_reason = "Freeze"
}

resource "headrace_approval_rule" "release" {
  account   = var.own
  name      = "release"
  pipelines = ["web"]
}
