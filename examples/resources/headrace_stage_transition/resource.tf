# A text here stops releases and says why; "" lets them go on.
variable "freeze" {
  type    = string
  default = "Change freeze until the inventory is done"
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
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Release"

    action {
      name            = "Install"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["make install"]
    }
  }
}

resource "headrace_stage_transition" "release" {
  pipeline        = headrace_pipeline.web.name
  stage           = "Release"
  enabled         = var.freeze == ""
  disabled_reason = var.freeze == "" ? null : var.freeze

  # A pipeline that is replaced comes with its transitions enabled.
  lifecycle {
    replace_triggered_by = [headrace_pipeline.web.uid]
  }
}
