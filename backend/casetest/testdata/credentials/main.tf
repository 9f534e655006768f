terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

variable "gitea" {}

variable "ssh" {}

variable "known_hosts" {}

variable "ssh_repository" {}

variable "token" {
  ephemeral = true
  sensitive = true
}

variable "key" {
  ephemeral = true
  sensitive = true
}

variable "secret" {
  ephemeral = true
  sensitive = true
}

variable "hook_secret" {
  ephemeral = true
  sensitive = true
}

variable "bearer" {
  ephemeral = true
  sensitive = true
}

resource "headrace_secret" "deploy" {
  name             = "deploy"
  value_wo         = var.secret
  value_wo_version = 1
}

resource "headrace_connection" "gitea" {
  name = "gitea"

  gitea {
    endpoint         = var.gitea
    token_wo         = var.token
    token_wo_version = 1
  }
}

resource "headrace_connection" "ssh" {
  name = "ssh"

  git {
    endpoint               = var.ssh
    private_key_wo         = var.key
    private_key_wo_version = 1
    known_hosts            = var.known_hosts
  }
}

resource "headrace_webhook" "gitea" {
  name              = "gitea"
  kind              = "gitea"
  connection_name   = headrace_connection.gitea.name
  manage            = true
  secret_wo         = var.hook_secret
  secret_wo_version = 1
}

resource "headrace_webhook" "events" {
  name              = "events"
  kind              = "generic"
  secret_wo         = var.bearer
  secret_wo_version = 1

  authentication {
    bearer {}
  }
}

resource "headrace_pipeline" "web" {
  name           = "web"
  execution_mode = "PARALLEL"

  stage {
    name = "Source"

    action {
      name             = "Checkout"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["web"]

      configuration = {
        Connection           = headrace_connection.gitea.name
        RepositoryUrl        = "owner/web"
        Branch               = "main"
        OutputArtifactFormat = "CODEBUILD_CLONE_REF"
      }
    }

    action {
      name             = "Library"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["lib"]

      configuration = {
        Connection           = headrace_connection.ssh.name
        RepositoryUrl        = var.ssh_repository
        Branch               = "main"
        OutputArtifactFormat = "CODEBUILD_CLONE_REF"
      }
    }
  }

  stage {
    name = "Build"

    action {
      name            = "Show"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["web", "lib"]
      commands = [
        "echo \"deploys with $TOKEN\"",
        "cat .git/config",
        "env | sort",
        "git log --format=%s",
      ]

      environment_variable {
        name  = "TOKEN"
        value = headrace_secret.deploy.name
        type  = "SECRET"
      }
    }
  }
}

resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = headrace_pipeline.web.name

  git {
    source_action = "Checkout"

    push {
      branches {
        includes = ["main"]
      }
    }
  }
}

resource "headrace_trigger" "lib" {
  name     = "lib"
  pipeline = headrace_pipeline.web.name

  git {
    source_action = "Library"

    push {
      branches {
        includes = ["main"]
      }

      file_paths {
        includes = ["lib/**"]
      }
    }
  }
}

resource "headrace_trigger" "events" {
  name     = "events"
  pipeline = headrace_pipeline.web.name

  webhook {
    webhook = headrace_webhook.events.name
  }
}
