# A pipeline that fetches a small program from a git repository, tests and
# builds it, waits for a person, then installs the program and runs it.
#
# `make quickstart` makes the repository from app/, starts a server and applies
# this. Endpoint, token and account come from HEADRACE_ENDPOINT, HEADRACE_TOKEN
# and HEADRACE_ACCOUNT, so that no secret is written here.

terraform {
  required_providers {
    headrace = {
      # With its host, so that Terraform and OpenTofu mean the same provider.
      source = "registry.terraform.io/headrace/headrace"
    }
  }
}

provider "headrace" {}

variable "repository_url" {
  type        = string
  description = "Repository of the program, as git knows it (file, https or ssh)."
}

variable "deploy_dir" {
  type        = string
  description = "Directory on the runner's machine where the program is installed."
}

variable "go_cache" {
  type        = string
  description = "Build cache of Go on the runner's machine, so that not every build begins at nothing."
}

variable "show_last_execution" {
  type        = bool
  default     = false
  description = "Read the last execution. A new pipeline has none yet."
}

resource "headrace_pipeline" "web" {
  name           = "web"
  description    = "Builds and ships tally, the quickstart's program."
  execution_mode = "QUEUED"

  variable {
    name          = "Top"
    default_value = "3"
    description   = "How many words the deployed program prints."
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
    name = "Build"

    action {
      name             = "Compile"
      category         = "Build"
      owner            = "Headrace"
      provider         = "Commands"
      version          = "1"
      namespace        = "build"
      input_artifacts  = ["source"]
      output_artifacts = ["program"]
      output_variables = ["APP_VERSION"]

      # The artifact holds what Deploy needs and nothing else.
      output_artifact_files = {
        program = ["bin/**", "sample.txt"]
      }

      commands = [
        "go vet ./...",
        "go test ./...",
        "APP_VERSION=$(cat VERSION)+$COMMIT",
        "go build -trimpath -ldflags \"-X main.version=$APP_VERSION\" -o bin/tally .",
        "bin/tally -version",
      ]

      timeout_in_minutes = 10

      environment_variable {
        name  = "COMMIT"
        value = "#{git.CommitId}"
      }

      environment_variable {
        name  = "GOCACHE"
        value = var.go_cache
      }

      # The program needs the standard library alone: nothing is downloaded.
      environment_variable {
        name  = "GOPROXY"
        value = "off"
      }

      environment_variable {
        name  = "GOTOOLCHAIN"
        value = "local"
      }

      environment_variable {
        name  = "GOFLAGS"
        value = "-mod=mod -buildvcs=false"
      }

      environment_variable {
        name  = "CGO_ENABLED"
        value = "0"
      }
    }
  }

  stage {
    name = "Approve"

    action {
      name     = "Approve"
      category = "Approval"
      owner    = "Headrace"
      provider = "Manual"
      version  = "1"

      configuration = {
        CustomData = "Ship tally #{build.APP_VERSION}? #{git.CommitMessage}"
      }
    }
  }

  stage {
    name = "Deploy"

    action {
      name            = "Install"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["program"]

      # Each file is moved into place whole: a reader never sees half of one.
      commands = [
        "mkdir -p \"$DEPLOY_DIR\"",
        "cp bin/tally \"$DEPLOY_DIR/tally.new\"",
        "mv -f \"$DEPLOY_DIR/tally.new\" \"$DEPLOY_DIR/tally\"",
        "\"$DEPLOY_DIR/tally\" -version",
        "\"$DEPLOY_DIR/tally\" -top \"$TOP\" sample.txt >\"$DEPLOY_DIR/report.new\"",
        "mv -f \"$DEPLOY_DIR/report.new\" \"$DEPLOY_DIR/report-$HEADRACE_EXECUTION_ID.txt\"",
        "cat \"$DEPLOY_DIR/report-$HEADRACE_EXECUTION_ID.txt\"",
      ]

      timeout_in_minutes = 5

      environment_variable {
        name  = "DEPLOY_DIR"
        value = var.deploy_dir
      }

      environment_variable {
        name  = "TOP"
        value = "#{variables.Top}"
      }
    }
  }
}

# The rule is an object of its own: in a real setting another team owns it.
resource "headrace_approval_rule" "ship" {
  name                 = "ship"
  description          = "Alice says when tally is shipped; who started the execution does not."
  pipelines            = [headrace_pipeline.web.name]
  actions              = ["Approve"]
  minimum_count        = 1
  users                = ["alice"]
  require_comment      = true
  allow_starter        = false
  expire_after_minutes = 60
}

data "headrace_execution" "last" {
  count    = var.show_last_execution ? 1 : 0
  pipeline = headrace_pipeline.web.name
}

output "pipeline_version" {
  description = "Version that the next execution runs."
  value       = headrace_pipeline.web.version
}

output "last_execution" {
  description = "How the last execution went; null until it is asked for."
  value = one([for e in data.headrace_execution.last : {
    number           = e.number
    status           = e.status
    pipeline_version = e.pipeline_version
    started_at       = e.started_at
    finished_at      = e.finished_at
    source_revisions = e.source_revisions
    stages = [for s in e.stages : {
      name        = s.name
      status      = s.status
      started_at  = s.started_at
      finished_at = s.finished_at
    }]
  }])
}
