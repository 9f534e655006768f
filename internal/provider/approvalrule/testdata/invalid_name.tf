resource "headrace_approval_rule" "release" {
  name      = "release it"
  pipelines = ["web"]
}
