terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

resource "headrace_pipeline" "p" {
  name = "needs"
  stage {
    name = "Source"
    action {
      name             = "Get"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["src"]
      configuration = {
        RepositoryUrl = "file://${var.work}/repo"
        Branch        = "main"
      }
    }
  }
  stage {
    name = "Build"
    action {
      name            = "Use"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["src"]
      commands        = ["echo \"the length is $${#TOKEN}\""]
      environment_variable {
        name  = "TOKEN"
        value = "token"
        type  = "SECRET"
      }
    }
  }
}
