data "headrace_trigger_decisions" "main" {
  pipeline = "web"
  ref      = "refs/heads/main"
  limit    = 10
}

# Why the newest pushes to main started nothing.
output "not_started" {
  value = [
    for decision in data.headrace_trigger_decisions.main.decisions : "${substr(decision.to_commit, 0, 7)}: ${decision.message}"
    if decision.outcome == "NOT_STARTED"
  ]
}
