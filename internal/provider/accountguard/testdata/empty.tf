locals {
  nothing = "left"
}
