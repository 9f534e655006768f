# The body of aws_codepipeline, with the arn of a headrace_connection instead of one of AWS.
resource "headrace_pipeline" "web" {
  name = "web"

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      namespace        = "git"
      output_artifacts = ["source"]

      configuration = {
        ConnectionArn    = "arn:headrace:connections::default:connection/github"
        FullRepositoryId = "acme/web"
        BranchName       = "main"
        DetectChanges    = "false"
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
