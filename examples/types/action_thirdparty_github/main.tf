variable "github_token" {
  type      = string
  sensitive = true
}

resource "headrace_pipeline" "web" {
  name = "web"

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "ThirdParty"
      provider         = "GitHub"
      version          = "1"
      namespace        = "git"
      output_artifacts = ["source"]

      configuration = {
        Owner      = "acme"
        Repo       = "web"
        Branch     = "main"
        OAuthToken = var.github_token
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Compile"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["make"]
    }
  }
}
