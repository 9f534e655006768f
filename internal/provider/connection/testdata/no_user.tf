resource "headrace_connection" "forge" {
  name = "forge"

  git {
    endpoint            = "https://git.example.com/r"
    password_wo         = "hunter22"
    password_wo_version = 1
  }
}
