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

variable "arn" {
  default = ""
}

variable "oauth_token" {
  type      = string
  sensitive = true
  default   = ""
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

# The stages are those of an aws_codepipeline; only the ARN and the build are Headrace's.
resource "headrace_pipeline" "web" {
  name = "web"

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
        ConnectionArn        = var.arn == "" ? headrace_connection.forge.arn : var.arn
        FullRepositoryId     = "acme/web"
        BranchName           = "main"
        OutputArtifactFormat = "CODEBUILD_CLONE_REF"
        DetectChanges        = "false"
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
      commands = [
        "git log -1 --format='built %s on %D'",
        "git config --list --local",
        "echo \"$COMMIT of $REPOSITORY\"",
      ]

      environment_variable {
        name  = "COMMIT"
        value = "#{SourceVariables.CommitId}"
      }

      environment_variable {
        name  = "REPOSITORY"
        value = "#{SourceVariables.FullRepositoryName}"
      }
    }
  }
}

resource "headrace_pipeline" "old" {
  count = var.oauth_token == "" ? 0 : 1
  name  = "old"

  stage {
    name = "Source"

    action {
      name             = "Source"
      category         = "Source"
      owner            = "ThirdParty"
      provider         = "GitHub"
      version          = "1"
      output_artifacts = ["source_output"]

      configuration = {
        Owner                = "acme"
        Repo                 = "web"
        Branch               = "main"
        OAuthToken           = var.oauth_token
        PollForSourceChanges = "false"
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
      commands        = ["true"]
    }
  }
}
