resource "headrace_secret" "token" {
  name             = "other"
  value_wo         = "hunter22-second"
  value_wo_version = 2
}
