variable "id" {
  type = string
}

data "headrace_execution" "one" {
  account  = "default"
  pipeline = "web"
  id       = var.id
}
