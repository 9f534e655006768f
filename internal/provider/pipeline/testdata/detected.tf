# A source that detects changes without a trigger block.
resource "headrace_pipeline" "web" {
  account       = "default"
  name          = "web"
  force_destroy = true

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        ConnectionArn    = "arn:headrace:connections::default:connection/forge"
        FullRepositoryId = "acme/web"
        BranchName       = "main"
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
