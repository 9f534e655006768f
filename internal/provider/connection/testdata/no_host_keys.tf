resource "headrace_connection" "forge" {
  name = "forge"

  git {
    endpoint = "ssh://git@git.example.com"
  }
}
