resource "headrace_approval_rule" "one" {
  name      = "twice"
  pipelines = ["web"]
}

resource "headrace_approval_rule" "other" {
  name      = "twice"
  pipelines = ["web"]
}
