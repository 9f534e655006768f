resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web"]
  groups    = ["release-managers "]
}
