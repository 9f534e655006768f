resource "headrace_trigger" "lost" {
  name     = "lost"
  pipeline = "web"

  webhook {
    webhook = "releases"
    when    = "body.action == 'released'"
  }
}
