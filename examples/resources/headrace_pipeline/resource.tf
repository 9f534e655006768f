resource "headrace_pipeline" "web" {
  name        = "web"
  description = "Builds, approves and installs the web server"

  variable {
    name          = "target"
    default_value = "/srv/web"
    description   = "Where the program is installed"
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
      input_artifacts  = ["source"]
      output_artifacts = ["program"]
      commands         = ["go build -o bin/web ."]

      output_artifact_files = {
        program = ["bin/**"]
      }
    }

    # The same run order: both run at the same time.
    action {
      name            = "UnitTests"
      category        = "Test"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["go test ./..."]
    }
  }

  stage {
    name = "Release"

    action {
      name               = "Approve"
      category           = "Approval"
      owner              = "Headrace"
      provider           = "Manual"
      version            = "1"
      timeout_in_minutes = 1440

      configuration = {
        CustomData = "Release #{git.CommitId}: #{git.CommitMessage}"
      }
    }

    action {
      name            = "Install"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      run_order       = 2
      input_artifacts = ["program"]
      commands        = ["install -D bin/web \"$TARGET/web\""]

      environment_variable {
        name  = "TARGET"
        value = "#{variables.target}"
      }
    }
  }
}
