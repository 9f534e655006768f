variable "registry_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

resource "headrace_secret" "registry_token" {
  name             = "registry-token"
  value_wo         = var.registry_token
  value_wo_version = 1
}

variable "repository_url" {
  type    = string
  default = "https://git.example.com/acme/web.git"
}

resource "headrace_pipeline" "image" {
  name = "image"

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
        RepositoryUrl = var.repository_url
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Publish"

    action {
      name            = "Push"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["./push-image"] # reads REGISTRY_TOKEN from its environment

      environment_variable {
        name  = "REGISTRY_TOKEN"
        value = headrace_secret.registry_token.name
        type  = "SECRET"
      }
    }
  }
}
