# Ephemeral variables are in neither the plan nor the state: TF_VAR_gitlab_token=… terraform apply
variable "github_app_key" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "gitlab_token" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "deploy_key" {
  type      = string
  ephemeral = true
  sensitive = true
}

# An installation of a GitHub App: tokens that last an hour, for one repository each.
resource "headrace_connection" "github" {
  name        = "github"
  description = "Repositories of acme"

  github_app {
    app_id                 = "Iv23liAbCdEfGhIjKlMn"
    installation_id        = 12345678
    private_key_wo         = var.github_app_key
    private_key_wo_version = 1
  }
}

# To set another token, change token_wo_version too.
resource "headrace_connection" "gitlab" {
  name          = "gitlab"
  allowed_hosts = ["lfs.example.com"]

  gitlab {
    endpoint         = "https://gitlab.example.com"
    token_wo         = var.gitlab_token
    token_wo_version = 1
  }
}

# Any server that git reads over SSH, by a key.
resource "headrace_connection" "internal" {
  name = "internal"

  git {
    endpoint               = "ssh://git@git.example.com/srv/git"
    private_key_wo         = var.deploy_key
    private_key_wo_version = 1
    known_hosts            = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKxzVIxtTrM9JB5+LqH/gKB9qGpRynERbc6mVtItBCui"
  }
}

# The source action clones acme/web through the connection.
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
