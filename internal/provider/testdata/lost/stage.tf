resource "headrace_stage" "lost" {
  pipeline = "web"
  name     = "Lost"
  order    = 30
}
