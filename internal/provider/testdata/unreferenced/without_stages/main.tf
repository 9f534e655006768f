resource "headrace_pipeline" "web" {
  name = "web"
}

import {
  to = headrace_action.fetch
  id = "web/Source/Fetch"
}

import {
  to = headrace_action.compile
  id = "web/Build/Compile"
}

resource "headrace_action" "fetch" {
  pipeline         = "web"
  stage            = "Source"
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

resource "headrace_action" "compile" {
  pipeline        = "web"
  stage           = "Build"
  name            = "Compile"
  category        = "Build"
  owner           = "Headrace"
  provider_name   = "Commands"
  version         = "1"
  input_artifacts = ["source"]
  commands        = ["make"]
}
