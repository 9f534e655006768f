resource "headrace_pipeline" "web" {
  name    = "web"
  publish = "explicit"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10

  before_entry {
    condition {
      result = "FAIL"

      rule {
        name               = "office-hours"
        timeout_in_minutes = 1440

        rule_type_id {
          provider = "DeploymentWindow"
        }

        configuration = {
          Cron     = "* * 9-16 ? * MON-FRI"
          TimeZone = "Europe/Berlin"
        }
      }

      rule {
        name = "person"

        rule_type_id {
          category = "Rule"
          owner    = "AWS"
          provider = "Expression"
          version  = "1"
        }

        configuration = {
          Expression = "trigger.principal != \"bot\""
        }
      }
    }
  }

  on_success {
    condition {
      result = "ROLLBACK"

      rule {
        name               = "smoke"
        commands           = ["curl --fail \"$URL\""]
        input_artifacts    = ["source"]
        timeout_in_minutes = 5

        rule_type_id {
          provider = "Commands"
        }

        environment_variable {
          name  = "URL"
          value = "https://#{variables.host}/health"
        }

        environment_variable {
          name  = "EXPECTED"
          value = "200"
          type  = "PLAINTEXT"
        }
      }
    }
  }

  on_failure {
    result = "RETRY"

    retry_configuration {
      retry_mode = "ALL_ACTIONS"
    }

    condition {
      result = "ROLLBACK"

      rule {
        name = "main"

        rule_type_id {
          provider = "VariableCheck"
        }

        configuration = {
          Variable = "#{git.BranchName}"
          Operator = "EQ"
          Value    = "main"
        }
      }
    }
  }
}
