resource "headrace_secret" "token" {
  name             = "to ken"
  value_wo         = "hunter22-first"
  value_wo_version = 1
}
