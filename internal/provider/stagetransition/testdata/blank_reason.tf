resource "headrace_stage_transition" "door" {
  pipeline        = "web"
  stage           = "Build"
  enabled         = false
  disabled_reason = "  "
}
