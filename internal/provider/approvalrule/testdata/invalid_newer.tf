resource "headrace_approval_rule" "release" {
  name            = "release"
  pipelines       = ["web"]
  newer_execution = "overtake"
}
