terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

resource "headrace_pipeline" "p" {
  name = "term"
  stage {
    name = "Source"
    action {
      name             = "Get"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      namespace        = "git"
      output_artifacts = ["src"]
      configuration = {
        RepositoryUrl = "file://${var.work}/repo"
        Branch        = "main"
      }
    }
  }
  stage {
    name = "Deploy"
    action {
      name            = "Apply"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["src"]
      commands        = ["sh tool.sh"]
      environment_variable {
        name  = "LOCK"
        value = "${var.work}/locks/lock"
      }
    }
  }
}

