data "headrace_pipeline_state" "web" {
  pipeline = "web"
}

output "frozen" {
  value = [for stage in data.headrace_pipeline_state.web.stages : stage.name if !stage.transition.enabled]
}
