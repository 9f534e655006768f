data "headrace_execution" "latest" {
  pipeline = "web"
}

output "waits" {
  value = [for reason in data.headrace_execution.latest.wait_reasons : "${reason.depth} ${reason.kind}"]
}

data "headrace_executions" "all" {
  pipeline = "web"
}
