resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
  users     = ["ann", null]
}
