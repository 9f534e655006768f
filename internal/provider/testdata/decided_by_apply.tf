# The address of the server is known only after an apply.
resource "terraform_data" "server" {
  input            = var.endpoint
  triggers_replace = var.generation
}

variable "endpoint" {
  type = string
}

variable "generation" {
  type = number
}

provider "headrace" {
  endpoint = terraform_data.server.output
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
