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
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Check"

    action {
      name             = "Lint"
      category         = "Test"
      owner            = "Headrace"
      provider         = "Commands"
      version          = "1"
      run_order        = 5
      input_artifacts  = ["source"]
      output_artifacts = []
      commands         = ["go vet ./..."]
      on_lost          = "retry"

      environment_variable {
        name  = "A"
        value = "b"
      }
    }
  }

  stage {
    name = "Build"

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
