resource "headrace_pipeline" "lost" {
  name    = "lost"
  publish = "explicit"
}
