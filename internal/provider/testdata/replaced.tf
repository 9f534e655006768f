resource "headrace_pipeline" "composed" {
  name    = "composed"
  publish = "explicit"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.composed.name
  name     = "Source"
  order    = 10

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
  commands        = ["make"]

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_pipeline_version" "composed" {
  pipeline = headrace_pipeline.composed.name

  triggers = {
    fetch   = headrace_action.fetch.etag
    compile = headrace_action.compile.etag
  }

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_stage_transition" "build" {
  pipeline        = headrace_pipeline_version.composed.pipeline
  stage           = "Build"
  enabled         = false
  disabled_reason = "Freeze"

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}
