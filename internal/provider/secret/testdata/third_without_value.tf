resource "headrace_secret" "token" {
  name             = "token"
  value_wo_version = 3
}
