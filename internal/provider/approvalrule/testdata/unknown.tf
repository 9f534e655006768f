resource "terraform_data" "who" {
  input = ["adam", "zoe"]
}

resource "headrace_approval_rule" "release" {
  name      = "release"
  pipelines = ["web-${terraform_data.who.id}"]
  users     = terraform_data.who.output
}
