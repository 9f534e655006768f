resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"
}
