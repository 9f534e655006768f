resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10
}

resource "terraform_data" "names" {
  input = ["A", "B"]
}

resource "headrace_action" "compile" {
  pipeline      = headrace_pipeline.web.name
  stage         = headrace_stage.build.name
  name          = "Compile"
  category      = "Build"
  owner         = "Headrace"
  provider_name = "Commands"
  version       = "1"
  commands      = terraform_data.names.output

  dynamic "environment_variable" {
    for_each = terraform_data.names.output

    content {
      name  = environment_variable.value
      value = "x"
    }
  }
}
