resource "headrace_secret" "token" {
  name             = "token"
  description      = "Pushes images"
  value_wo_version = 2
}
