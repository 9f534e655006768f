resource "headrace_pipeline" "web" {
  name = "web"

  trigger {
    provider_type = "CodeStarSourceConnection"

    git_configuration {
      source_action_name = "Fetch"

      push {
        branches {
          includes = ["feature/{a,{b,c}}"]
        }
      }
    }
  }

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        Connection    = "forge"
        RepositoryUrl = "acme/web"
        Branch        = "main"
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
