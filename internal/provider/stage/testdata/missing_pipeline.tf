resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = "missing"
  name     = "Build"
  order    = 10
}
