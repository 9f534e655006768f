variable "stage" {
  type    = string
  default = "Source"
}

variable "repository" {
  type    = string
  default = "https://example.invalid/web.git"
}

variable "on_destroy" {
  type    = string
  default = null
}

resource "headrace_pipeline" "web" {
  name = "web"

  stage {
    name = var.stage

    action {
      name             = "Fetch"
      category         = "Source"
      owner            = "Headrace"
      provider         = "Git"
      version          = "1"
      output_artifacts = ["source"]

      configuration = {
        RepositoryUrl = var.repository
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

resource "headrace_stage_transition" "door" {
  pipeline        = headrace_pipeline.web.name
  stage           = var.stage
  enabled         = false
  disabled_reason = "Freeze"
  on_destroy      = var.on_destroy
}
