resource "headrace_approval_rule" "release" {
  name                 = "release"
  pipelines            = ["web"]
  expire_after_minutes = 0
}
