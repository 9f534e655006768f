# A body of aws_codepipeline with version 1 of the GitHub source.
resource "headrace_pipeline" "web" {
  account       = "default"
  name          = "web"
  force_destroy = true

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "ThirdParty"
      provider         = "GitHub"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        Owner      = "acme"
        Repo       = "web"
        Branch     = "main"
        OAuthToken = "ghp_0000000000000000000000000000example"
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
      commands        = ["go build ./..."]
    }
  }
}
