provider "headrace" {
  allowed_accounts = ["dev", "test"]
}

data "headrace_pipeline" "web" {
  account = "prod"
  name    = "web"
}
