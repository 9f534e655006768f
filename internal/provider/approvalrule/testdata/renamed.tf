resource "headrace_approval_rule" "release" {
  name      = "deploy"
  pipelines = ["web"]
}
