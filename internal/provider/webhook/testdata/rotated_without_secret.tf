resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo_version = 3

  authentication {
    bearer {}
  }
}
