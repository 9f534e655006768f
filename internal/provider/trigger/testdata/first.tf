resource "headrace_connection" "forge" {
  name = "forge"

  gitea {
    endpoint         = "https://gitea.example.com"
    token_wo         = "hunter22"
    token_wo_version = 1
  }
}

resource "headrace_pipeline" "web" {
  name = "web"

  variable {
    name          = "Tag"
    default_value = "none"
  }

  stage {
    name = "Source"

    action {
      name             = "Checkout"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        Connection    = headrace_connection.forge.name
        RepositoryUrl = "acme/web"
        Branch        = "main"
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
      commands        = ["make"]
    }
  }
}

resource "headrace_trigger" "web" {
  name     = "web"
  pipeline = headrace_pipeline.web.name

  git {
    source_action = "Checkout"
  }
}
