resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10
}

resource "headrace_stage" "test" {
  pipeline = headrace_pipeline.web.name
  name     = "Test"
  order    = 20
}
