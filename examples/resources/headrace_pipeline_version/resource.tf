# Stages and actions are collected, and published all at once.
resource "headrace_pipeline" "composed" {
  name    = "composed"
  publish = "explicit"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.composed.name
  name     = "Source"
  order    = 10

  # A pipeline that is replaced comes without its stages and actions.
  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.composed.name
  name     = "Build"
  order    = 20

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_action" "fetch" {
  pipeline         = headrace_pipeline.composed.name
  stage            = headrace_stage.source.name
  name             = "Fetch"
  category         = "Source"
  owner            = "Headrace"
  provider_name    = "Git"
  version          = "1"
  output_artifacts = ["source"]

  configuration = {
    RepositoryUrl = "https://example.com/web.git"
    Branch        = "main"
  }

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_action" "compile" {
  pipeline        = headrace_pipeline.composed.name
  stage           = headrace_stage.build.name
  name            = "Compile"
  category        = "Build"
  owner           = "Headrace"
  provider_name   = "Commands"
  version         = "1"
  input_artifacts = ["source"]
  commands        = ["go build ./...", "go test ./..."]

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_pipeline_version" "composed" {
  pipeline = headrace_pipeline.composed.name

  triggers = {
    pipeline = headrace_pipeline.composed.etag
    source   = headrace_stage.source.etag
    build    = headrace_stage.build.etag
    fetch    = headrace_action.fetch.etag
    compile  = headrace_action.compile.etag
  }

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}
