resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    token_wo_version = 1
  }

  git {
    endpoint = "https://git.example.com"
  }
}
