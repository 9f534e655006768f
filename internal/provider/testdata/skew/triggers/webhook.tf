resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo         = "hunter22-of-the-webhook"
  secret_wo_version = 1

  authentication {
    bearer {}
  }
}
