# Stages made of a map, in several pipelines.
locals {
  checks = {
    Test = ["go test ./..."]
    Vet  = ["go vet ./...", "gofmt -l ."]
  }
}

resource "headrace_pipeline" "web" {
  count = 2

  name = "web-${count.index}"

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
        RepositoryUrl = "https://example.com/${count.index}.git"
      }
    }
  }

  dynamic "stage" {
    for_each = local.checks

    content {
      name = stage.key

      action {
        name            = "Run"
        category        = "Test"
        owner           = "Headrace"
        provider        = "Commands"
        version         = "1"
        input_artifacts = ["source"]
        commands        = stage.value

        dynamic "environment_variable" {
          for_each = stage.key == "Vet" ? { A = "1", B = "2" } : {}

          content {
            name  = environment_variable.key
            value = environment_variable.value
          }
        }
      }
    }
  }
}
