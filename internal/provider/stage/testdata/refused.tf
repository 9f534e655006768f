resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 10

  before_entry {
    condition {
      result = "FAIL"

      rule {
        name = "window"

        rule_type_id {
          provider = "DeploymentWindow"
        }

        configuration = {
          Cron = "* * * * * ?"
        }
      }
    }
  }
}
