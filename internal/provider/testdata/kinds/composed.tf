resource "headrace_pipeline" "web" {
  name = "web"
}

resource "headrace_stage" "source" {
  pipeline = headrace_pipeline.web.name
  name     = "Source"
  order    = 10
}

resource "headrace_action" "fetch" {
  pipeline         = headrace_pipeline.web.name
  stage            = headrace_stage.source.name
  name             = "Fetch"
  category         = "Source"
  owner            = "Headrace"
  provider_name    = "Git"
  version          = "1"
  output_artifacts = ["source"]

  configuration = {
    RepositoryUrl = "https://example.com/web.git"
  }
}

resource "headrace_stage" "build" {
  pipeline = headrace_pipeline.web.name
  name     = "Build"
  order    = 20

  on_success {
    condition {
      result = "FAIL"

      rule {
        name     = "check"
        commands = ["true"]

        rule_type_id {
          owner    = "Headrace"
          provider = "Commands"
        }
      }
    }
  }
}

resource "headrace_action" "lint" {
  pipeline        = headrace_pipeline.web.name
  stage           = headrace_stage.build.name
  name            = "Lint"
  category        = "Build"
  owner           = "Acme"
  provider_name   = "Lint"
  version         = "1"
  input_artifacts = ["source"]

  configuration = {
    Level = local.level
  }
}
