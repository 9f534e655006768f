import {
  to = headrace_stage.source
  id = "web/Source"
}

import {
  to = headrace_stage.build
  id = "web/Build"
}

resource "headrace_stage" "source" {
  pipeline = "web"
  name     = "Source"
  order    = 1
}

resource "headrace_stage" "build" {
  pipeline = "web"
  name     = "Build"
  order    = 2
}
