resource "headrace_secret" "token" {
  name             = "token"
  value_wo         = join("", [for i in range(1000) : "hunter22-hunter22-hunter22-hunter22-hunter22-hunter22-hunter22-hunter22"])
  value_wo_version = 1
}
