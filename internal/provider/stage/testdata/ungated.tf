resource "headrace_pipeline" "web" {
  name    = "web"
  publish = "explicit"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10
}
