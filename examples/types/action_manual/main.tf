resource "headrace_pipeline" "web" {
  name = "web"

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      namespace        = "git"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = "https://example.com/web.git"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Release"

    action {
      name     = "Approve"
      category = "Approval"
      owner    = "Headrace"
      provider = "Manual"
      version  = "1"

      configuration = {
        CustomData         = "Release #{git.CommitId}: #{git.CommitMessage}"
        ExternalEntityLink = "https://staging.example.com"
      }
    }
  }
}
