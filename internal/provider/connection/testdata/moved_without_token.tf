resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    endpoint         = "https://gitlab.other.example.com"
    token_wo_version = 2
  }
}
