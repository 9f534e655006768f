resource "headrace_trigger" "web" {
  name      = "web"
  pipeline  = "web"
  variables = { Tag = "=event.ref +" }

  git {
    source_action = "Checkout"
  }
}
