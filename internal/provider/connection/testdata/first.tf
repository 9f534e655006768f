resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    token_wo         = "hunter22-first"
    token_wo_version = 1
  }
}
