resource "headrace_trigger" "released" {
  name     = "released"
  pipeline = "web"

  webhook {
    webhook = "releases"
  }
}
