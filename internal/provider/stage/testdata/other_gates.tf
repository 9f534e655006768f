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
      result = "SKIP"

      rule {
        name = "canary"

        rule_type_id {
          provider = "VariableCheck"
        }

        configuration = {
          Variable = "#{variables.host}"
          Operator = "MATCHES"
          Value    = ".*[.]example[.]com"
        }
      }
    }
  }

  on_failure {
    result = "ROLLBACK"
  }
}
