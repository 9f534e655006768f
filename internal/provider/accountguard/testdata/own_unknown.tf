# The resource's account comes out of the same apply.
variable "generation" {
  type = number
}

resource "terraform_data" "account" {
  input            = "prod"
  triggers_replace = var.generation
}

resource "headrace_approval_rule" "release" {
  account   = terraform_data.account.output
  name      = "release"
  pipelines = ["web"]
}
