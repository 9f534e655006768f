resource "headrace_stage_transition" "door" {
  account  = "a/b"
  pipeline = "web"
  stage    = "Build"
}
