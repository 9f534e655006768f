# No stage blocks: the pipeline is composed of resources, which may live in
# modules or in configurations of other teams.
resource "headrace_pipeline" "composed" {
  name = "composed"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.composed.name
  name     = "Source"
  order    = 10

  # A pipeline that is replaced comes without its stages and actions.
  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.composed.name
  name     = "Build"
  order    = 20

  # Where an action fails, the failed ones run once more.
  on_failure {
    result = "RETRY"
  }

  lifecycle {
    replace_triggered_by = [headrace_pipeline.composed.uid]
  }
}
