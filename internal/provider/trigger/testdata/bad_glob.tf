resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"

  git {
    source_action = "Checkout"

    push {
      branches {
        includes = ["main", "rel[ease"]
      }
    }
  }
}
