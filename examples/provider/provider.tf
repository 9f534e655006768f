terraform {
  required_providers {
    headrace = {
      source = "headrace/headrace"
    }
  }
}

# The token comes from the environment: HEADRACE_TOKEN, or HEADRACE_TOKEN_FILE
# with the name of the file that headraced wrote at its first start.
provider "headrace" {
  endpoint         = "127.0.0.1:7480"
  account          = "default"
  allowed_accounts = ["default"]
}
