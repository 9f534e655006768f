resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    token_wo         = "hunter22-second"
    token_wo_version = 2
  }
}
