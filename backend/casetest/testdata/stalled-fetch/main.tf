terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

variable "silent" {}

resource "headrace_pipeline" "p" {
  name = "hang"
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
        RepositoryUrl = "http://${var.silent}/web.git"
        Branch        = "main"
      }
    }
  }
  stage {
    name = "Build"
    action {
      name            = "Make"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["src"]
      commands        = ["ls"]
    }
  }
}
