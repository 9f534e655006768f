terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

variable "endpoint" {}

variable "branch" {
  default = "main"
}

variable "blocks" {
  type    = list(string)
  default = []
}

variable "password" {
  type      = string
  ephemeral = true
}

resource "headrace_connection" "forge" {
  name = "forge"

  git {
    endpoint            = var.endpoint
    username            = "x-access-token"
    password_wo         = var.password
    password_wo_version = 1
  }
}

resource "headrace_pipeline" "web" {
  name = "web"

  variable {
    name          = "Subject"
    default_value = "none"
  }

  dynamic "trigger" {
    for_each = var.blocks

    content {
      provider_type = "CodeStarSourceConnection"

      git_configuration {
        source_action_name = "Checkout"

        push {
          branches {
            includes = [trigger.value]
          }
        }
      }
    }
  }

  stage {
    name = "Source"

    action {
      name             = "Checkout"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        Connection    = headrace_connection.forge.name
        RepositoryUrl = "acme/web"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Show"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["echo \"built $(cat web/page) for $SUBJECT\""]

      environment_variable {
        name  = "SUBJECT"
        value = "#{variables.Subject}"
      }
    }
  }
}

resource "headrace_trigger" "web" {
  name      = "web"
  pipeline  = headrace_pipeline.web.name
  variables = { Subject = "=event.subject" }

  git {
    source_action = "Checkout"

    push {
      branches {
        includes = [var.branch]
      }

      file_paths {
        includes = ["web/**"]
      }
    }
  }
}
