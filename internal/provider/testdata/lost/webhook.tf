resource "headrace_webhook" "lost" {
  name              = "lost"
  kind              = "generic"
  secret_wo         = "whsec_aHVudGVyMjItb2YtdGhlLWxvc3Q="
  secret_wo_version = 1

  authentication {
    standard_webhooks {}
  }
}
