resource "terraform_data" "url" {
  input = "https://example.com/web.git"
}

resource "terraform_data" "artifacts" {
  input = ["source"]
}

resource "terraform_data" "namespace" {
  input = "git"
}

resource "terraform_data" "order" {
  input = 2
}

resource "headrace_pipeline" "web" {
  name        = "web-${terraform_data.url.id}"
  description = terraform_data.url.output

  stage {
    name = "Source"

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      namespace        = terraform_data.namespace.output
      output_artifacts = terraform_data.artifacts.output

      configuration = {
        RepositoryUrl = terraform_data.url.output
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
      run_order       = terraform_data.order.output
      input_artifacts = ["source"]
      commands        = ["go build ./..."]

      environment_variable {
        name  = "COMMIT"
        value = "#{git.CommitId}"
      }
    }
  }
}
