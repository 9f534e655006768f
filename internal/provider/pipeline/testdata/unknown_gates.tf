resource "terraform_data" "gate" {
  input = {
    cron       = "* * 9-16 ? * MON-FRI"
    expression = "trigger.principal != \"bot\""
    hosts      = ["a.example.com", "b.example.com"]
    mode       = "ALL_ACTIONS"
    on_update  = "cancel"
    provider   = "Commands"
    result     = "FAIL"
    rules      = ["one", "two"]
  }
}

resource "headrace_pipeline" "web" {
  name      = "web"
  on_update = terraform_data.gate.output.on_update

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = "https://example.com/web.git"
      }
    }
  }

  stage {
    name = "Build"

    before_entry {
      condition {
        result = terraform_data.gate.output.result

        rule {
          name = "window"

          rule_type_id {
            provider = "DeploymentWindow"
          }

          configuration = {
            Cron = terraform_data.gate.output.cron
          }
        }

        dynamic "rule" {
          for_each = terraform_data.gate.output.rules

          content {
            name = rule.value

            rule_type_id {
              provider = "Expression"
            }

            configuration = {
              Expression = terraform_data.gate.output.expression
            }
          }
        }
      }
    }

    on_success {
      condition {
        result = "ROLLBACK"

        rule {
          name     = "smoke"
          commands = ["true"]

          rule_type_id {
            provider = terraform_data.gate.output.provider
          }

          dynamic "environment_variable" {
            for_each = terraform_data.gate.output.hosts

            content {
              name  = "HOST_${environment_variable.key}"
              value = environment_variable.value
            }
          }
        }
      }
    }

    on_failure {
      result = "RETRY"

      retry_configuration {
        retry_mode = terraform_data.gate.output.mode
      }
    }

    action {
      name            = "Compile"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["go build ./..."]
    }
  }
}
