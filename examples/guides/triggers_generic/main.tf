variable "deploy_secret" {
  type      = string
  ephemeral = true
  sensitive = true
}

resource "headrace_webhook" "deploy" {
  name              = "deploy"
  description       = "Deployments from the chat"
  kind              = "generic"
  secret_wo         = var.deploy_secret
  secret_wo_version = 1

  authentication {
    hmac {
      header = "X-Signature-256"
      prefix = "sha256="
    }
  }
}

resource "headrace_pipeline" "deploy" {
  name = "deploy"

  variable {
    name          = "environment"
    default_value = "staging"
  }

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
        RepositoryUrl = var.repository_url
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Deploy"

    action {
      name            = "Deploy"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["echo \"deploying $COMMIT to $ENVIRONMENT\""]

      environment_variable {
        name  = "COMMIT"
        value = "#{git.CommitId}"
      }

      environment_variable {
        name  = "ENVIRONMENT"
        value = "#{variables.environment}"
      }
    }
  }
}

variable "repository_url" {
  type    = string
  default = "https://git.example.com/acme/web.git"
}

resource "headrace_trigger" "deploy" {
  name      = "deploy"
  pipeline  = headrace_pipeline.deploy.name
  variables = { environment = "=body.environment" }

  webhook {
    webhook          = headrace_webhook.deploy.name
    when             = "body.environment in [\"staging\", \"production\"]"
    source_revisions = { Checkout = "body.commit" }

    filter {
      json_path    = "$.action"
      match_equals = "deploy"
    }
  }
}

output "deploy_url" {
  value = headrace_webhook.deploy.url
}
