resource "headrace_pipeline" "web" {
  name = "web"

  variable {
    name          = "who"
    default_value = "world"
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
        RepositoryUrl = var.repository
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
      output_variables = ["GREETING"]
      commands         = ["export GREETING=\"hello $WHO\"", "test \"$WHO\" != nobody"]

      environment_variable {
        name  = "WHO"
        value = "#{variables.who}"
      }
    }
  }
}

variable "repository" {
  type = string
}

data "headrace_execution" "latest" {
  pipeline = headrace_pipeline.web.name
}

data "headrace_execution" "failed" {
  pipeline = headrace_pipeline.web.name
  status   = "Failed"
}

data "headrace_executions" "all" {
  pipeline = headrace_pipeline.web.name
}

data "headrace_executions" "newest" {
  pipeline = headrace_pipeline.web.name
  limit    = 1
}

data "headrace_executions" "failed" {
  pipeline = headrace_pipeline.web.name
  statuses = ["Failed", "Stopped"]
}
