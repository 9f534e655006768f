# The trigger block of aws_codepipeline, with every argument.
resource "headrace_pipeline" "web" {
  account       = "default"
  name          = "web"
  force_destroy = true

  trigger {
    provider_type = "CodeStarSourceConnection"

    git_configuration {
      source_action_name = "Fetch"

      push {
        branches {
          includes = ["main", "release/**"]
          excludes = ["release/old-*"]
        }

        file_paths {
          includes = ["web/**", "**/*.{js,ts}"]
          excludes = ["**/README.md"]
        }
      }

      push {
        tags {
          includes = ["v[0-9]*"]
          excludes = ["*-rc?"]
        }
      }

      pull_request {
        events = ["OPEN", "UPDATED"]

        branches {
          includes = ["main"]
        }

        file_paths {
          excludes = ["docs/**"]
        }
      }

      pull_request {
        events = ["CLOSED"]
      }
    }
  }

  trigger {
    provider_type = "CodeStarSourceConnection"

    git_configuration {
      source_action_name = "Tools"
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

    action {
      name             = "Tools"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["tools"]

      configuration = {
        Connection    = "forge"
        RepositoryUrl = "acme/tools"
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
      input_artifacts = ["source", "tools"]
      commands        = ["go build ./..."]
    }
  }
}
