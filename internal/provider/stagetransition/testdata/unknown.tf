resource "terraform_data" "freeze" {
  input = { enabled = false, reason = "Inventory", stage = "Build" }
}

resource "headrace_stage_transition" "door" {
  pipeline        = "web"
  stage           = terraform_data.freeze.output.stage
  enabled         = terraform_data.freeze.output.enabled
  disabled_reason = terraform_data.freeze.output.reason
}
