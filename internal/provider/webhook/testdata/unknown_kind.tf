resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "svn"
  connection_name   = "forge"
  secret_wo         = "hunter22-first-of-all"
  secret_wo_version = 1
}
