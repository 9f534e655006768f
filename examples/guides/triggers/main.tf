# Ephemeral variables are in neither the plan nor the state: TF_VAR_gitea_token=… terraform apply
variable "gitea_endpoint" {
  type    = string
  default = "https://gitea.example.com"
}

variable "gitea_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "webhook_secret" {
  type      = string
  ephemeral = true
  sensitive = true
}

# How the server reaches the repositories.
resource "headrace_connection" "gitea" {
  name = "gitea"

  gitea {
    endpoint         = var.gitea_endpoint
    token_wo         = var.gitea_token
    token_wo_version = 1
  }
}

# Where Gitea sends its deliveries. Headrace registers the hook on each repository that a
# trigger watches, and repairs it.
resource "headrace_webhook" "gitea" {
  name              = "gitea"
  kind              = "gitea"
  connection_name   = headrace_connection.gitea.name
  manage            = true
  secret_wo         = var.webhook_secret
  secret_wo_version = 1
}

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
        Connection    = headrace_connection.gitea.name
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
      commands        = ["echo \"building $COMMIT of $BRANCH$TAG\"", "ls"]

      environment_variable {
        name  = "COMMIT"
        value = "#{git.CommitId}"
      }

      environment_variable {
        name  = "BRANCH"
        value = "#{git.BranchName}"
      }

      environment_variable {
        name  = "TAG"
        value = "#{git.TagName}"
      }
    }
  }
}

resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = headrace_pipeline.web.name

  git {
    source_action = "Checkout"

    # A push to main that changes more than documentation,
    push {
      branches {
        includes = ["main"]
      }
      file_paths {
        excludes = ["docs/**", "*.md"]
      }
    }

    # a tag of a release,
    push {
      tags {
        includes = ["v*"]
      }
    }

    # or a pull request to main.
    pull_request {
      events = ["OPEN", "UPDATED"]
      branches {
        includes = ["main"]
      }
    }
  }
}
