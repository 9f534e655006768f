resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"

  webhook {
    webhook = "releases"

    filter {
      json_path    = "$.ref["
      match_equals = "main"
    }
  }
}
