resource "headrace_stage_transition" "lost" {
  pipeline        = "web"
  stage           = "Build"
  enabled         = false
  disabled_reason = "Freeze"
}
