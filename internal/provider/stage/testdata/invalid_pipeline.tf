resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = "web site"
  name     = "Build"
  order    = 10
}
