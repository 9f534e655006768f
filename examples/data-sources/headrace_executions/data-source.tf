data "headrace_executions" "failed" {
  pipeline = "web"
  statuses = ["Failed", "Stopped"]
  limit    = 10
}

output "failures" {
  value = [for execution in data.headrace_executions.failed.executions : "${execution.number}: ${execution.status_summary}"]
}
