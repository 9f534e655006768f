data "headrace_pipeline_state" "web" {
  pipeline = "web"
}

# Which stages are closed, and why.
output "closed" {
  value = {
    for stage in data.headrace_pipeline_state.web.stages :
    stage.name => stage.transition.disabled_reason if !stage.transition.enabled
  }
}
