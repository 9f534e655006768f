terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

# Endpoint, token and account come from the environment.
provider "headrace" {}

# The blocks have the shape of aws_codepipeline.
resource "headrace_pipeline" "web" {
  name = "web"

  stage {
    name = "Source"
    action {
      name             = "Checkout"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      namespace        = "git"
      output_artifacts = ["source"]
      configuration = {
        RepositoryUrl = "file://${abspath("hello")}"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Build"
    action {
      name                  = "Compile"
      category              = "Build"
      owner                 = "Headrace"
      provider              = "Commands"
      version               = "1"
      input_artifacts       = ["source"]
      output_artifacts      = ["program"]
      output_artifact_files = { program = ["bin/**"] }
      commands              = ["make test", "make build"]
      environment_variable {
        name  = "COMMIT"
        value = "#{git.CommitId}"
      }
    }
  }

  stage {
    name = "Production"
    action {
      name     = "Approve"
      category = "Approval"
      owner    = "Headrace"
      provider = "Manual"
      version  = "1"
    }
    action {
      name            = "Deploy"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      run_order       = 2
      input_artifacts = ["program"]
      commands        = ["bin/hello"]
    }
  }
}

# The rule applies to every action in a stage named Production, in all pipelines.
resource "headrace_approval_rule" "production" {
  name            = "production"
  pipelines       = ["*"]
  stages          = ["Production"]
  actions         = ["*"]
  minimum_count   = 1
  groups          = ["release-managers"]
  require_comment = true
}
