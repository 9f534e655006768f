terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

variable "description" {
  default = "first"
}

variable "command" {
  default = "cp release"
}

variable "at_once" {
  default = false
}

resource "headrace_pipeline" "web" {
  name        = "web"
  description = var.description

  stage {
    name = "Source"

    action {
      name             = "Get"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = "file://${var.work}/repo"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name             = "Package"
      category         = "Build"
      owner            = "Headrace"
      provider         = "Commands"
      version          = "1"
      input_artifacts  = ["source"]
      output_artifacts = ["package"]
      commands         = ["echo build"]

      environment_variable {
        name  = "NOTE"
        value = var.description
      }
    }
  }

  stage {
    name = "Production"

    before_entry {
      condition {
        result = "FAIL"

        rule {
          name = "hours"

          rule_type_id {
            provider = "DeploymentWindow"
          }

          # Closed whenever this runs.
          configuration = {
            Cron = "* * * ? * * 2099"
          }
        }
      }
    }

    action {
      name            = "Deploy"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["package"]
      commands        = ["${var.command} ${var.work}/live"]
    }

    on_success {
      condition {
        result = "ROLLBACK"

        rule {
          name     = "smoke"
          commands = ["grep good ${var.work}/live"]

          rule_type_id {
            provider = "Commands"
          }
        }
      }
    }

    dynamic "on_rollback" {
      for_each = var.at_once ? [1] : []

      content {
        skip_conditions = true
        skip_approvals  = true
      }
    }
  }
}

resource "headrace_approval_rule" "people" {
  name          = "people"
  pipelines     = ["web"]
  stages        = ["Production"]
  minimum_count = 2
}
