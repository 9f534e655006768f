resource "headrace_approval_rule" "lost" {
  name      = "lost"
  pipelines = ["web"]
}
