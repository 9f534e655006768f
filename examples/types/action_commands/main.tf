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
      output_variables = ["VERSION"]

      commands = [
        "VERSION=$(cat VERSION)",
        "export VERSION",
        "make TARGET=\"$TARGET\"",
      ]

      output_artifact_files = {
        program = ["bin/**"]
      }

      environment_variable {
        name  = "TARGET"
        value = "linux"
      }
    }
  }
}
