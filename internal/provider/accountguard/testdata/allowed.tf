provider "headrace" {
  allowed_accounts = ["dev", "test"]
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
