resource "headrace_stage_transition" "door" {
  pipeline        = "web"
  stage           = "Build"
  enabled         = false
  disabled_reason = join("", [for i in range(301) : "a"])
}
