# More rules than Terraform plans at a time.
resource "headrace_approval_rule" "many" {
  count = 12

  name      = "many-${count.index}"
  pipelines = ["network"]
  stages    = ["Apply"]
}
