resource "headrace_stage_transition" "door" {
  pipeline        = "web"
  stage           = "Build"
  disabled_reason = "Inventory"
}
