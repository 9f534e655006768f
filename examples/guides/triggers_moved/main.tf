variable "github_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

# Instead of aws_codestarconnections_connection.
resource "headrace_connection" "github" {
  name = "github"

  github_token {
    token_wo         = var.github_token
    token_wo_version = 1
  }
}

# Instead of aws_codepipeline.
resource "headrace_pipeline" "web" {
  name          = "web"
  pipeline_type = "V2"

  trigger {
    provider_type = "CodeStarSourceConnection"

    git_configuration {
      source_action_name = "Source"

      push {
        branches {
          includes = ["main", "release/**"]
        }

        file_paths {
          includes = ["src/**"]
          excludes = ["**/*.md"]
        }
      }

      push {
        tags {
          includes = ["v*"]
        }
      }
    }
  }

  stage {
    name = "Source"

    action {
      name             = "Source"
      category         = "Source"
      owner            = "AWS"
      provider         = "CodeStarSourceConnection"
      version          = "1"
      namespace        = "SourceVariables"
      output_artifacts = ["source_output"]

      configuration = {
        ConnectionArn        = headrace_connection.github.arn
        FullRepositoryId     = "acme/web"
        BranchName           = "main"
        OutputArtifactFormat = "CODE_ZIP"
      }
    }
  }

  # Instead of a CodeBuild project and its buildspec.
  stage {
    name = "Build"

    action {
      name            = "Build"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source_output"]
      commands        = ["make"]
    }
  }
}
