resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    endpoint         = "https://gitlab.example.com"
    token_wo         = "hunter22-second"
    token_wo_version = 2
  }
}
