variable "github_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "webhook_secret" {
  type      = string
  ephemeral = true
  sensitive = true
}

resource "headrace_connection" "github" {
  name = "github"

  github_token {
    token_wo         = var.github_token
    token_wo_version = 1
  }
}

resource "headrace_pipeline" "web" {
  name = "web"

  stage {
    name = "Source"

    action {
      name             = "Source"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source_output"]

      configuration = {
        Connection    = headrace_connection.github.name
        RepositoryUrl = "acme/web"
        Branch        = "main"
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
      commands        = ["make"]
    }
  }
}

# aws_codepipeline_webhook: authentication and authentication_configuration.
resource "headrace_webhook" "web" {
  name              = "web"
  kind              = "generic"
  secret_wo         = var.webhook_secret
  secret_wo_version = 1

  authentication {
    hmac {
      header = "X-Hub-Signature-256"
      prefix = "sha256="
    }
  }
}

# aws_codepipeline_webhook: target_pipeline, target_action and filter.
resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = headrace_pipeline.web.name

  webhook {
    webhook          = headrace_webhook.web.name
    source_revisions = { Source = "body.after" }

    filter {
      json_path    = "$.ref"
      match_equals = "refs/heads/{Branch}"
    }
  }
}
