provider "headrace" {
  allowed_accounts = ["dev", "a/b"]
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
