variable "pipelines" {
  type    = list(string)
  default = ["network"]
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
  name          = "network-apply"
  pipelines     = var.pipelines
  stages        = var.stages
  groups        = var.groups
  minimum_count = 1
}
