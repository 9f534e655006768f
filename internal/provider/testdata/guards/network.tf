variable "approve_stage" {
  type    = string
  default = "Apply"
}

resource "headrace_pipeline" "network" {
  name = "network"

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
        RepositoryUrl = "https://example.com/network.git"
      }
    }
  }

  stage {
    name = "Plan"

    action {
      name            = "Plan"
      category        = "Build"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["terraform plan"]
    }
  }

  dynamic "stage" {
    for_each = var.approve_stage == "" ? [] : [var.approve_stage]

    content {
      name = stage.value

      action {
        name     = "Approve"
        category = "Approval"
        owner    = "Headrace"
        provider = "Manual"
        version  = "1"
      }
    }
  }
}
