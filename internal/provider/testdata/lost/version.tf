resource "headrace_pipeline_version" "lost" {
  pipeline = "web"
}
