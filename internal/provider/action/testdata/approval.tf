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
  category      = "Approval"
  owner         = "Headrace"
  provider_name = "Manual"
  version       = "1"

  configuration = {
    CustomData         = "Go?"
    ExternalEntityLink = "https://example.com"
  }
}
