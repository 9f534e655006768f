resource "headrace_approval_rule" "release" {
  name          = "release"
  pipelines     = ["web"]
  minimum_count = 0
}
