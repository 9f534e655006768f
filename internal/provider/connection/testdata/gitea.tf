resource "headrace_connection" "forge" {
  name = "forge"

  gitea {
    endpoint         = "https://gitea.example.com"
    token_wo         = "hunter22-third"
    token_wo_version = 2
  }
}
