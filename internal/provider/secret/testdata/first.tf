resource "headrace_secret" "token" {
  name             = "token"
  value_wo         = "hunter22-first"
  value_wo_version = 1
}
