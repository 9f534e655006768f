resource "headrace_stage_transition" "door" {
  pipeline = "web"
  stage    = "Deploy"
}
