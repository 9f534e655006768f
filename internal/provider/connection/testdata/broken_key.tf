resource "headrace_connection" "forge" {
  name = "forge"

  github_app {
    app_id                 = "1"
    installation_id        = 1
    private_key_wo         = "hunter22"
    private_key_wo_version = 1
  }
}
