provider "headrace" {
  allowed_accounts = ["dev", "test"]
}

import {
  to = headrace_approval_rule.release
  id = "prod/release"
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
}
