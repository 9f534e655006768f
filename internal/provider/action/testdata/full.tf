resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10
}

resource "headrace_action" "compile" {
  pipeline      = headrace_pipeline.web.name
  stage         = headrace_stage.build.name
  name          = "Compile"
  category      = "Build"
  owner         = "Headrace"
  provider_name = "Commands"
  version       = "1"
  run_order     = 4

  namespace          = "build"
  timeout_in_minutes = 15
  on_lost            = "retry"
  commands           = ["make", "make check"]
  input_artifacts    = ["source", "tools"]
  output_artifacts   = ["program"]
  output_variables   = ["VERSION"]

  output_artifact_files = {
    program = ["bin/**", "README.md"]
  }

  environment_variable {
    name  = "COMMIT"
    value = "#{git.CommitId}"
  }
}
