resource "headrace_stage_transition" "door" {
  pipeline = "missing"
  stage    = "Build"
}
