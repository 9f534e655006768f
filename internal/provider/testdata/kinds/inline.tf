resource "headrace_pipeline" "web" {
  name = "web"

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

    action {
      name            = "Lint"
      category        = "Build"
      owner           = "Acme"
      provider        = "Lint"
      version         = "1"
      input_artifacts = ["source"]

      configuration = {
        Level = local.level
      }
    }

    on_success {
      condition {
        result = "FAIL"

        rule {
          name     = "check"
          commands = ["true"]

          rule_type_id {
            owner    = "Headrace"
            provider = "Commands"
          }
        }
      }
    }
  }
}
