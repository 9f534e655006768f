variable "guarded" {
  type    = string
  default = "Prod"
}

variable "asked" {
  type    = string
  default = "Ask"
}

resource "headrace_pipeline" "each" {
  for_each = toset(["api", "web"])

  name = each.key

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = "https://example.com/${each.key}.git"
      }
    }
  }

  stage {
    name = "Prod"

    action {
      name     = var.asked
      category = "Approval"
      owner    = "Headrace"
      provider = "Manual"
      version  = "1"
    }

    action {
      name            = "Ship"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["true"]
    }
  }
}

resource "headrace_approval_rule" "entry" {
  for_each = headrace_pipeline.each

  name      = "entry-${each.key}"
  pipelines = [each.key]
  stages    = [var.guarded]
}

resource "headrace_approval_rule" "ask" {
  for_each = headrace_pipeline.each

  name      = "ask-${each.key}"
  pipelines = [each.key]
  actions   = ["Ask"]
}
