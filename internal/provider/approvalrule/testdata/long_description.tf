resource "headrace_approval_rule" "release" {
  name        = "release"
  description = join("", [for i in range(1000) : "ä"])
  pipelines   = ["web"]
}
