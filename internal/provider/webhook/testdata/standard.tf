resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo         = "whsec_aHVudGVyMjItc3RhbmRhcmQtd2ViaG9va3M="
  secret_wo_version = 3

  authentication {
    standard_webhooks {}
  }
}
