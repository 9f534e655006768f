resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"

  git {
    source_action = "Checkout"
    coalesce      = "last"
  }
}
