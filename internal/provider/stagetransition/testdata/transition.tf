variable "enabled" {
  type    = bool
  default = null
}

variable "reason" {
  type    = string
  default = null
}

variable "stage" {
  type    = string
  default = "Build"
}

resource "headrace_stage_transition" "door" {
  pipeline        = "web"
  stage           = var.stage
  enabled         = var.enabled
  disabled_reason = var.reason
}
