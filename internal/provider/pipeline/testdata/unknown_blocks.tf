resource "terraform_data" "stages" {
  input = ["Build", "Test"]
}

resource "headrace_pipeline" "web" {
  name = "web"

  dynamic "variable" {
    for_each = terraform_data.stages.output

    content {
      name = variable.value
    }
  }

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

  dynamic "stage" {
    for_each = terraform_data.stages.output

    content {
      name = stage.value

      action {
        name            = "Run"
        category        = "Build"
        owner           = "Headrace"
        provider        = "Commands"
        version         = "1"
        input_artifacts = ["source"]
        commands        = ["make ${stage.value}"]
      }
    }
  }
}
