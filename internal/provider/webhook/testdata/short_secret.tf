resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo         = "hunter22"
  secret_wo_version = 4

  authentication {
    bearer {}
  }
}
