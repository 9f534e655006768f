resource "headrace_pipeline" "web" {
  name    = "web"
  publish = "explicit"
}
