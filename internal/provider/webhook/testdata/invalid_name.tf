resource "headrace_webhook" "releases" {
  name              = "rele ases"
  kind              = "generic"
  secret_wo         = "hunter22-first-of-all"
  secret_wo_version = 1

  authentication {
    bearer {}
  }
}
