variable "secret" {
  type    = string
  default = "token"
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
      commands        = ["make push"]

      environment_variable {
        name  = "TOKEN"
        value = var.secret
        type  = "SECRET"
      }
    }
  }
}
