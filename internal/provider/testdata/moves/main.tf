terraform {
  required_providers {
    headrace = {
      source = "headrace/headrace"
    }
  }
}

variable "account" {
  type    = string
  default = null
}

variable "own" {
  type    = string
  default = null
}

variable "keep" {
  type    = bool
  default = true
}

provider "headrace" {
  account = var.account
}

resource "headrace_pipeline" "web" {
  count   = var.keep ? 1 : 0
  account = var.own
  name    = "web"
}
