resource "terraform_data" "server" {
  input = "127.0.0.1:9"
}

provider "headrace" {
  endpoint = terraform_data.server.output
}

data "headrace_pipeline" "web" {
  name = "web"
}
