resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "github"
  connection_name   = "forge"
  secret_wo         = "hunter22-first-of-all"
  secret_wo_version = 1

  authentication {
    bearer {}
  }
}
