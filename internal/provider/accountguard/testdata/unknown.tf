# The provider's accounts come out of the same apply.
variable "generation" {
  type = number
}

resource "terraform_data" "account" {
  input            = "prod"
  triggers_replace = var.generation
}

provider "headrace" {
  account          = terraform_data.account.output
  allowed_accounts = [terraform_data.account.output]
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
