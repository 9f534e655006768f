resource "headrace_connection" "forge" {
  name          = "forge"
  description   = "Of the platform team"
  allowed_hosts = ["lfs.example.com"]

  gitlab {
    token_wo_version = 1
  }
}
