data "headrace_pipeline" "web" {
  name = "web"
}

output "stages" {
  value = data.headrace_pipeline.web.stages[*].name
}
