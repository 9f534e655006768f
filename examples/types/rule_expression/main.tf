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

    before_entry {
      condition {
        result = "SKIP"

        rule {
          name = "not_a_bot"

          rule_type_id {
            provider = "Expression"
          }

          configuration = {
            Expression = "trigger.principal != \"bot\""
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
