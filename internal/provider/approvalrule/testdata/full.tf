resource "headrace_approval_rule" "release" {
  account              = "default"
  name                 = "release"
  description          = "Four eyes"
  pipelines            = ["web-*", "web", "shop"]
  stages               = ["Release*"]
  actions              = ["Approve", "Sign*"]
  minimum_count        = 2
  users                = ["zoe", "adam"]
  groups               = ["release-managers", "on-call"]
  require_comment      = true
  expire_after_minutes = 1440
  allow_starter        = true
  newer_execution      = "supersede"
}
