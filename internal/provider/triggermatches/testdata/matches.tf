terraform {
  required_providers {
    headrace = {
      source = "hashicorp/headrace"
    }
  }
}

locals {
  trigger = {
    push = [
      {
        branches   = { includes = ["main"] }
        file_paths = { includes = ["web/**"], excludes = ["**/*.md"] }
      },
      { tags = { includes = ["v*"] } },
    ]
    pull_request = [{ events = ["OPEN", "UPDATED"], branches = { includes = ["main"] } }]
  }
}

output "included" {
  value = provider::headrace::trigger_matches(local.trigger, { branch = "main", files = ["web/a.js"] })
}

output "excluded" {
  value = provider::headrace::trigger_matches(local.trigger, { branch = "main", files = ["web/README.md"] })
}

output "tag" {
  value = provider::headrace::trigger_matches(local.trigger, { tag = "v1.0" })
}

output "moved_tag" {
  value = provider::headrace::trigger_matches(local.trigger, { tag = "v1.0", created = false })
}

output "deleted" {
  value = provider::headrace::trigger_matches(local.trigger, { branch = "main", deleted = true })
}

output "skipped" {
  value = provider::headrace::trigger_matches(local.trigger, { branch = "main", files = ["web/a.js"], message = "Fix [skip ci]" })
}

output "pull_request" {
  value = provider::headrace::trigger_matches(local.trigger, { pull_request = { number = 7, destination_branch = "main" } })
}

output "fork" {
  value = provider::headrace::trigger_matches(local.trigger, { pull_request = { number = 7, destination_branch = "main", fork = true } })
}

output "closed" {
  value = provider::headrace::trigger_matches(local.trigger, { pull_request = { event = "CLOSED", destination_branch = "main" } })
}

output "unfiltered" {
  value = provider::headrace::trigger_matches({}, { branch = "any" })
}

output "marker_off" {
  value = provider::headrace::trigger_matches(
    { skip_markers = false, push = [{ branches = { excludes = ["x"] } }] },
    { branch = "main", message = "[skip ci]" },
  )
}

# As the block of a pipeline is in the state: blocks are lists, and what is not set is null.
output "of_a_block" {
  value = provider::headrace::trigger_matches({
    provider_type = "CodeStarSourceConnection"
    git_configuration = [{
      source_action_name = "Fetch"
      push               = tolist([{ branches = [{ includes = tolist(["main"]), excludes = null }], file_paths = [], tags = [] }])
      pull_request       = []
    }]
  }, { branch = "main" })
}
