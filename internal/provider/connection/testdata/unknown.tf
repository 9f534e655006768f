resource "terraform_data" "address" {
  input = "https://gitlab.example.com"
}

resource "headrace_connection" "forge" {
  name = "forge"

  gitlab {
    endpoint         = terraform_data.address.output
    token_wo         = "hunter22-first"
    token_wo_version = 1
  }
}
