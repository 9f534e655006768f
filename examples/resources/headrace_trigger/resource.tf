# Ephemeral variables are in neither the plan nor the state: TF_VAR_gitlab_token=… terraform apply
variable "gitlab_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "webhook_secret" {
  type      = string
  ephemeral = true
  sensitive = true
}

resource "headrace_connection" "gitlab" {
  name = "gitlab"

  gitlab {
    token_wo         = var.gitlab_token
    token_wo_version = 1
  }
}

resource "headrace_pipeline" "web" {
  name = "web"

  variable {
    name          = "Reason"
    default_value = "started by hand"
  }

  stage {
    name = "Source"

    action {
      name             = "Checkout"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        Connection    = headrace_connection.gitlab.name
        RepositoryUrl = "acme/web"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Make"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["make"]
    }
  }
}

# Pushes to main that change the program, and tags of versions. The connection and the repository
# are those of the source action.
resource "headrace_trigger" "main" {
  name      = "main"
  pipeline  = headrace_pipeline.web.name
  variables = { Reason = "=event.subject" }

  git {
    source_action = "Checkout"

    push {
      branches {
        includes = ["main"]
      }

      file_paths {
        includes = ["web/**"]
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

# Deliveries of GitLab make the trigger decide at once. Without them a poll finds the changes.
resource "headrace_webhook" "gitlab" {
  name              = "gitlab"
  kind              = "gitlab"
  connection_name   = headrace_connection.gitlab.name
  manage            = true
  secret_wo         = var.webhook_secret
  secret_wo_version = 1
}

resource "headrace_webhook" "registry" {
  name              = "registry"
  kind              = "generic"
  secret_wo         = var.webhook_secret
  secret_wo_version = 1

  authentication {
    hmac {
      header = "X-Signature-256"
      prefix = "sha256="
    }
  }
}

# Events of a registry: a release of the base image builds the newest commit again.
resource "headrace_trigger" "base_image" {
  name      = "base-image"
  pipeline  = headrace_pipeline.web.name
  variables = { Reason = "='base image ' + body.tag" }

  webhook {
    webhook         = headrace_webhook.registry.name
    when            = "body.tag.startsWith('v')"
    idempotency_key = "body.id"

    filter {
      json_path    = "$.repository"
      match_equals = "base"
    }
  }
}
