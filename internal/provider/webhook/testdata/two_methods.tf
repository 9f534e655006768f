resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo         = "hunter22-first-of-all"
  secret_wo_version = 1

  authentication {
    bearer {}
    standard_webhooks {}
  }
}
