locals {
  stages = {
    Build  = { actions = { Compile = { order = 1, hosts = [] } } }
    Deploy = { actions = { Canary = { order = 1, hosts = ["a"] }, Fleet = { order = 2, hosts = ["b", ""] } } }
  }
}

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

  dynamic "stage" {
    for_each = local.stages

    content {
      name = stage.key

      dynamic "action" {
        for_each = stage.value.actions

        content {
          name            = action.key
          category        = "Build"
          owner           = "Headrace"
          provider        = "Commands"
          version         = "1"
          run_order       = action.value.order
          input_artifacts = ["source"]
          commands        = ["make"]

          dynamic "environment_variable" {
            for_each = action.value.hosts

            content {
              name  = "HOST_${environment_variable.key}"
              value = environment_variable.value
            }
          }
        }
      }
    }
  }
}
