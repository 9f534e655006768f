variable "configuration" {
  description = "JSON, since a variable of a test cannot hold null."
  type        = string
}

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
    Tag           = null
  }
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 20

  on_failure {
    result = "ROLLBACK"
  }

  on_rollback {}
}

resource "headrace_action" "approve" {
  pipeline        = headrace_pipeline.web.name
  stage           = headrace_stage.build.name
  name            = "Approve"
  category        = "Approval"
  owner           = "Headrace"
  provider_name   = "Manual"
  version         = "1"
  configuration   = jsondecode(var.configuration)
  input_artifacts = []
}

resource "headrace_pipeline_version" "web" {
  pipeline = headrace_pipeline.web.name

  triggers = {
    source  = headrace_stage.source.etag
    fetch   = headrace_action.fetch.etag
    build   = headrace_stage.build.etag
    approve = headrace_action.approve.etag
  }
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
  users     = []
}
