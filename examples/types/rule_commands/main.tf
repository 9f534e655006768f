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
      namespace        = "git"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = "https://example.com/web.git"
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Deploy"

    on_success {
      condition {
        result = "ROLLBACK"

        rule {
          name            = "smoke"
          commands        = ["./smoke-test \"$ADDRESS\""]
          input_artifacts = ["source"]

          rule_type_id {
            provider = "Commands"
          }

          environment_variable {
            name  = "ADDRESS"
            value = "https://web.example.com"
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
      input_artifacts = ["source"]
      commands        = ["make install"]
    }
  }
}
