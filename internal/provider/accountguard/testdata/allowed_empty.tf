provider "headrace" {
  allowed_accounts = []
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
