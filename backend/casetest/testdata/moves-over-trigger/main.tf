terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

variable "endpoint" {}

variable "password" {
  type      = string
  ephemeral = true
}

resource "headrace_connection" "forge" {
  name = "forge"

  git {
    endpoint            = var.endpoint
    username            = "x-access-token"
    password_wo         = var.password
    password_wo_version = 1
  }
}

# The body of an aws_codepipeline without role_arn and artifact_store. Only the ARN and the
# build are Headrace's.
resource "headrace_pipeline" "web" {
  name          = "web"
  pipeline_type = "V2"

  trigger {
    provider_type = "CodeStarSourceConnection"

    git_configuration {
      source_action_name = "Source"

      push {
        branches {
          includes = ["main"]
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
        ConnectionArn    = headrace_connection.forge.arn
        FullRepositoryId = "acme/web"
        BranchName       = "main"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Build"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source_output"]
      commands        = ["echo \"built $(cat src/main) from <$BRANCH> <$TAG> at $COMMIT\""]

      environment_variable {
        name  = "BRANCH"
        value = "#{SourceVariables.BranchName}"
      }

      environment_variable {
        name  = "TAG"
        value = "#{SourceVariables.TagName}"
      }

      environment_variable {
        name  = "COMMIT"
        value = "#{SourceVariables.CommitId}"
      }
    }
  }
}
