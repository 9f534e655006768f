# An ephemeral variable is in neither the plan nor the state: TF_VAR_registry_token=… terraform apply
variable "registry_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

# To set another value, change value_wo_version too.
resource "headrace_secret" "registry_token" {
  name             = "registry-token"
  description      = "Pushes images of the web shop"
  value_wo         = var.registry_token
  value_wo_version = 1
}

resource "headrace_pipeline" "web" {
  name = "web"

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
        RepositoryUrl = "https://example.com/web.git"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Push"

    action {
      name            = "Image"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]

      commands = [
        "printenv REGISTRY_TOKEN | docker login --username ci --password-stdin registry.example.com",
        "make push",
      ]

      # The commands get the value, and the log shows **** in its place.
      environment_variable {
        name  = "REGISTRY_TOKEN"
        value = headrace_secret.registry_token.name
        type  = "SECRET"
      }
    }
  }
}
