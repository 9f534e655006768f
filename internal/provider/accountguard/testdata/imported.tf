import {
  to = headrace_approval_rule.release
  id = "release"
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
