resource "headrace_secret" "token" {
  name             = "token"
  value_wo         = ""
  value_wo_version = 1
}
