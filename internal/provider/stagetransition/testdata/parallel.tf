resource "headrace_stage_transition" "door" {
  pipeline = "parallel"
  stage    = "Build"
}
