resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10

  before_entry {
  }
}
