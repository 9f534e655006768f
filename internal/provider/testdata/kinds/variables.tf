variable "level" {
  type    = string
  default = "strict"
}

# Whether only an apply decides the level.
variable "late" {
  type    = bool
  default = false
}

resource "terraform_data" "level" {
  input = var.level
}

locals {
  level = var.late ? terraform_data.level.output : var.level
}
