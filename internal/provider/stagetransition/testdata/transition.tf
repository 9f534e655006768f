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

variable "on_destroy" {
  type    = string
  default = null
}

resource "headrace_stage_transition" "door" {
  pipeline        = "web"
  stage           = var.stage
  enabled         = var.enabled
  disabled_reason = var.reason
  on_destroy      = var.on_destroy
}
