# Every argument that this version of the server accepts.
resource "headrace_pipeline" "web" {
  account        = "default"
  name           = "web"
  description    = "The web server"
  execution_mode = "QUEUED"
  on_update      = "cancel"
  pipeline_type  = "V2"
  force_destroy  = true

  variable {
    name          = "target"
    default_value = "/srv/web"
    description   = "Where it goes"
  }

  variable {
    name = "who"
  }

  stage {
    name = "Source"

    action {
      name               = "Fetch"
      category           = "Source"
      owner              = "Headrace"
      provider           = "Git"
      version            = "1"
      run_order          = 3
      namespace          = "git"
      output_artifacts   = ["source"]
      timeout_in_minutes = 10
      on_lost            = "fail"

      configuration = {
        RepositoryUrl = "https://example.com/web.git"
        Tag           = "v1"
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
      run_order        = 2
      namespace        = "build"
      input_artifacts  = ["source"]
      output_artifacts = ["binary", "reports"]
      output_variables = ["VERSION"]
      commands         = ["go build ./...", "go vet ./..."]
      on_lost          = "retry"
      configuration    = {}

      output_artifact_files = {
        binary  = ["bin/**"]
        reports = []
      }

      environment_variable {
        name  = "TARGET"
        value = "#{variables.target}"
        type  = "PLAINTEXT"
      }

      environment_variable {
        name  = "COMMIT"
        value = "#{git.CommitId}"
      }
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
      timeout_in_minutes = 60
      commands           = []
      input_artifacts    = []

      configuration = {
        CustomData = "#{build.VERSION}"
      }
    }
  }
}
