resource "headrace_stage_transition" "door" {
  pipeline = "web site"
  stage    = "Build"
}
