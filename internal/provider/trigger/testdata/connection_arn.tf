resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = "web"

  git {
    source_action = "Checkout"
    connection    = "arn:headrace:connections::default:connection/forge"
  }
}
