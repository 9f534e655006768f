resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10
}

resource "headrace_action" "compile" {
  pipeline         = headrace_pipeline.web.name
  stage            = headrace_stage.build.name
  name             = "Compile"
  category         = "Build"
  owner            = "Headrace"
  provider_name    = "Commands"
  version          = "1"
  commands         = ["make"]
  output_artifacts = ["binary"]

  output_artifact_files = {
    binary = ["bin/[a"]
  }
}
