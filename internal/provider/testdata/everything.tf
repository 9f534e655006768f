variable "generation" {
  type    = number
  default = 1
}

resource "headrace_pipeline" "web" {
  name        = "web"
  description = "Generation ${var.generation}"

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

resource "headrace_stage_transition" "build" {
  pipeline        = headrace_pipeline.web.name
  stage           = "Build"
  enabled         = false
  disabled_reason = "Generation ${var.generation}"
}

resource "headrace_approval_rule" "build" {
  name        = "build"
  description = "Generation ${var.generation}"
  pipelines   = ["web"]
}

resource "headrace_pipeline" "composed" {
  name = "composed"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.composed.name
  name     = "Source"
  order    = var.generation * 10
}

resource "headrace_action" "fetch" {
  pipeline         = headrace_pipeline.composed.name
  stage            = headrace_stage.source.name
  name             = "Fetch"
  category         = "Source"
  owner            = "Headrace"
  provider_name    = "Git"
  version          = "1"
  output_artifacts = ["source"]

  configuration = {
    RepositoryUrl = "https://example.com/${var.generation}.git"
  }
}
