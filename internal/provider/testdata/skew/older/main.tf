variable "branch" {
  type    = string
  default = "main"
}

resource "headrace_pipeline" "web" {
  name      = "web"
  on_update = "cancel"

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
        Branch        = var.branch
      }
    }
  }

  stage {
    name = "Deploy"

    on_failure {
      result = "ROLLBACK"
    }

    action {
      name            = "Ship"
      category        = "Deploy"
      owner           = "Headrace"
      provider        = "Commands"
      version         = "1"
      input_artifacts = ["source"]
      commands        = ["make deploy"]
    }
  }
}

resource "headrace_approval_rule" "production" {
  name            = "production"
  pipelines       = [headrace_pipeline.web.name]
  stages          = ["Deploy"]
  newer_execution = "supersede"
}

resource "headrace_stage_transition" "deploy" {
  pipeline        = headrace_pipeline.web.name
  stage           = "Deploy"
  enabled         = false
  disabled_reason = "Freeze on ${var.branch}"
}

resource "headrace_pipeline" "composed" {
  name    = "composed"
  publish = "explicit"
}

resource "headrace_stage" "deploy" {
  pipeline = headrace_pipeline.composed.name
  name     = "Deploy"
  order    = var.branch == "main" ? 10 : 20

  on_failure {
    result = "ROLLBACK"
  }
}

resource "headrace_action" "ship" {
  pipeline      = headrace_pipeline.composed.name
  stage         = headrace_stage.deploy.name
  name          = "Ship"
  category      = "Deploy"
  owner         = "Headrace"
  provider_name = "Commands"
  version       = "1"
  commands      = ["make deploy-${var.branch}"]
}
