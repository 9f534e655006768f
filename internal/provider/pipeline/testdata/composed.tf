resource "headrace_pipeline" "web" {
  name = "web"
}
