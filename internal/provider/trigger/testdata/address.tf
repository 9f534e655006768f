resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"

  git {
    source_action = "Checkout"
    repository    = "https://github.com/acme/web.git"
  }
}
