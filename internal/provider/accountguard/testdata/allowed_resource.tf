provider "headrace" {
  allowed_accounts = ["dev", "test"]
}

resource "headrace_approval_rule" "release" {
  account   = "prod"
  name      = "release"
  pipelines = ["web"]
}
