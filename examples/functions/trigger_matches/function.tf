terraform {
  required_providers {
    headrace = {
      source = "headrace/headrace"
    }
  }
}

locals {
  # The arguments of git_configuration. A trigger block works, too:
  # headrace_pipeline.web.trigger[0].
  trigger = {
    push = [
      {
        branches   = { includes = ["main", "release/**"] }
        file_paths = { includes = ["web/**"], excludes = ["**/*.md"] }
      },
      { tags = { includes = ["v*"] } },
    ]
  }
}

# The same conditions work in the run blocks of terraform test.
check "trigger_of_web" {
  assert {
    condition     = provider::headrace::trigger_matches(local.trigger, { branch = "main", files = ["web/app.js"] }).matched
    error_message = "A change of the web application must start a release."
  }

  assert {
    condition     = !provider::headrace::trigger_matches(local.trigger, { branch = "main", files = ["web/README.md"] }).matched
    error_message = "A change of the documentation must not start a release."
  }
}

# Why something starts, or does not.
output "message" {
  value = provider::headrace::trigger_matches(local.trigger, { branch = "feature/x" }).message
}
