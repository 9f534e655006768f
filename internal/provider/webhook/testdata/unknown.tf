resource "terraform_data" "name" {
  input = "forge"
}

resource "headrace_connection" "forge" {
  name = terraform_data.name.output

  gitlab {
    token_wo         = "glpat-hunter22"
    token_wo_version = 1
  }
}

resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "gitlab"
  connection_name   = headrace_connection.forge.name
  secret_wo         = "hunter22-of-gitlab-xyz"
  secret_wo_version = 1
}
