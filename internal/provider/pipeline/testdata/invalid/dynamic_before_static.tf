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
    name = "Deploy"

    dynamic "action" {
      for_each = ["Approve"]

      content {
        name     = action.value
        category = "Approval"
        owner    = "AWS"
        provider = "Manual"
        version  = "1"
      }
    }

    action {
      name            = "Ship"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      run_order       = 2
      input_artifacts = ["source"]
      commands        = ["make ship"]
    }
  }
}
