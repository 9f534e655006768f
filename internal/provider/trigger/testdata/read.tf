data "headrace_deliveries" "all" {}

data "headrace_deliveries" "accepted" {
  webhook = "releases"
  status  = "ACCEPTED"
  limit   = 1
}

data "headrace_trigger_decisions" "all" {}

data "headrace_trigger_decisions" "newest" {
  trigger = "web"
  limit   = 1
}

data "headrace_trigger_decisions" "pipeline" {
  pipeline = "web"
}
