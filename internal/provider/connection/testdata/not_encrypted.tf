resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    endpoint         = "http://gitlab.example.com"
    token_wo_version = 1
  }
}
