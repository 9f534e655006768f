resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo         = "hunter22-second-one"
  secret_wo_version = 2
  tags              = { team = "web" }

  authentication {
    bearer {}
  }
}
