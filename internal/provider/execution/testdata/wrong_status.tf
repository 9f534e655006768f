data "headrace_execution" "latest" {
  pipeline = "web"
  status   = "Broken"
}
