terraform {
  required_providers {
    headrace = { source = "registry.terraform.io/headrace/headrace" }
  }
}

provider "headrace" {}

variable "work" {}

variable "token" {
  type      = string
  ephemeral = true
  sensitive = true
}

variable "token_version" {
  default = 1
}

resource "headrace_secret" "token" {
  name             = "token"
  value_wo         = var.token
  value_wo_version = var.token_version
}

resource "headrace_pipeline" "p" {
  name = "sentinel"
  stage {
    name = "Source"
    action {
      name             = "Get"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["src"]
      configuration = {
        RepositoryUrl = "file://${var.work}/repo"
        Branch        = "main"
      }
    }
  }
  stage {
    name = "Build"
    action {
      name             = "Talk"
      category         = "Build"
      owner            = "Headrace"
      provider         = "Commands"
      version          = "1"
      namespace        = "talk"
      input_artifacts  = ["src"]
      output_variables = ["TOKEN", "LENGTH"]
      commands = [
        "LENGTH=$(printf %s \"$TOKEN\" | wc -c)",
        "echo talks; printf '%s\\n' \"$TOKEN\"; echo \"<$TOKEN>\" >&2",
        "printf %s \"$TOKEN\" | base64",
        "printf 'user:%s' \"$TOKEN\" | base64 -w 0; echo",
        "printf %s \"$TOKEN\" | tail -n 1; echo",
        "printf %s \"$TOKEN\" | while IFS= read -r line; do printf '%s ' \"$line\"; done; echo",
        "set -x; : \"$TOKEN\"; set +x",
      ]
      environment_variable {
        name  = "TOKEN"
        value = headrace_secret.token.name
        type  = "SECRET"
      }
    }
  }
  stage {
    name = "Deploy"
    before_entry {
      condition {
        result = "FAIL"
        rule {
          name = "Gate"
          rule_type_id {
            provider = "Commands"
          }
          commands = ["test -n \"$TOKEN\" && echo \"rule has $TOKEN\""]
          environment_variable {
            name  = "TOKEN"
            value = "token"
            type  = "SECRET"
          }
        }
      }
    }
    action {
      name            = "Fail"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["src"]
      commands        = ["echo \"published: $PUBLISHED\"", "echo \"$TOKEN\" >&2; exit 3"]
      environment_variable {
        name  = "TOKEN"
        value = headrace_secret.token.name
        type  = "SECRET"
      }
      environment_variable {
        name  = "PUBLISHED"
        value = "#{talk.TOKEN}"
      }
    }
  }
}
