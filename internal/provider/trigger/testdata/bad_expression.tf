resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"

  webhook {
    webhook = "releases"
    when    = "body.action =="
  }
}
