provider "headrace" {
  allowed_accounts = ["dev", null]
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
