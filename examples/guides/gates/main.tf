resource "headrace_pipeline" "web" {
  name           = "web"
  execution_mode = "SUPERSEDED"

  variable {
    name          = "target"
    default_value = "https://web.example.com"
    description   = "Where the web server answers"
  }

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      namespace        = "git"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = "https://example.com/web.git"
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
      output_variables = ["COVERAGE"]
      commands         = ["make", "COVERAGE=$(make --silent coverage)"]

      output_artifact_files = {
        program = ["bin/**"]
      }
    }

    # A flaky test gets a second chance; what succeeded does not run again.
    on_failure {
      result = "RETRY"
    }
  }

  stage {
    name = "Release"

    # Both must hold: somebody is at work, and the build is good enough.
    before_entry {
      condition {
        result = "FAIL"

        rule {
          name               = "office-hours"
          timeout_in_minutes = 4320

          rule_type_id {
            provider = "DeploymentWindow"
          }

          configuration = {
            Cron     = "* * 9-15 ? * MON-FRI"
            TimeZone = "Europe/Berlin"
          }
        }

        rule {
          name = "coverage"

          rule_type_id {
            provider = "Expression"
          }

          configuration = {
            Expression = "double(outputs.build.COVERAGE) >= 80.0 || trigger.principal == \"on-call\""
          }
        }
      }
    }

    action {
      name            = "Install"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["program"]
      commands        = ["install -D bin/web /srv/web/web"]
    }

    # What was installed has to answer, or the previous release is restored.
    on_success {
      condition {
        result = "ROLLBACK"

        rule {
          name               = "answers"
          commands           = ["curl --fail --retry 5 \"$TARGET/health\""]
          timeout_in_minutes = 5

          rule_type_id {
            provider = "Commands"
          }

          environment_variable {
            name  = "TARGET"
            value = "#{variables.target}"
          }
        }
      }
    }

    # The previous release is restored at once, also at night and without the people on call.
    on_rollback {
      skip_conditions = true
      skip_approvals  = true
    }

    # An installation that fails is tried once more. If it fails again, the previous
    # release is restored, but only if the release came from the main branch.
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
}

# Someone on call approves the newest release.
resource "headrace_approval_rule" "release" {
  name            = "web-release"
  pipelines       = [headrace_pipeline.web.name]
  stages          = ["Release"]
  groups          = ["on-call"]
  newer_execution = "supersede"
}

# A text stops releases and says why; without one they go on.
variable "freeze" {
  type    = string
  default = ""
}

resource "headrace_stage_transition" "release" {
  pipeline        = headrace_pipeline.web.name
  stage           = "Release"
  enabled         = var.freeze == ""
  disabled_reason = var.freeze == "" ? null : var.freeze

  # A pipeline that is replaced comes with its transitions enabled.
  lifecycle {
    replace_triggered_by = [headrace_pipeline.web.uid]
  }
}
