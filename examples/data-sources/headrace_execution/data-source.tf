# The latest execution; everything is null while there is none.
data "headrace_execution" "latest" {
  pipeline = "web"
}

# The latest one that succeeded: what is released now.
data "headrace_execution" "released" {
  pipeline = "web"
  status   = "Succeeded"
}

output "latest_status" {
  value = data.headrace_execution.latest.status
}

output "released_commit" {
  value = try(data.headrace_execution.released.source_revisions[0].revision_id, null)
}

# What it is waiting for, followed by what the executions in its way are waiting for.
output "waits_for" {
  value = [for reason in coalesce(data.headrace_execution.latest.wait_reasons, []) : reason.message]
}
