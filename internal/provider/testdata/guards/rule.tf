variable "pipelines" {
  type    = list(string)
  default = ["network"]
}

variable "rule_name" {
  type    = string
  default = "network-apply"
}

variable "stages" {
  type    = list(string)
  default = ["Apply"]
}

variable "groups" {
  type    = list(string)
  default = []
}

resource "headrace_approval_rule" "network_apply" {
  name          = var.rule_name
  pipelines     = var.pipelines
  stages        = var.stages
  groups        = var.groups
  minimum_count = 1
}
