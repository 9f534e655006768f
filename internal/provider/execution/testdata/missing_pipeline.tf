data "headrace_execution" "latest" {
  pipeline = "missing"
}
