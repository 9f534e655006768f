import {
  to = headrace_pipeline.web
  id = "web"
}

resource "headrace_pipeline" "web" {
  name = "web"
}

import {
  to = headrace_stage.source
  id = "web/Source"
}

import {
  to = headrace_stage.build
  id = "web/Build"
}

resource "headrace_stage" "source" {
  pipeline = "web"
  name     = "Source"
  order    = 1
}

resource "headrace_stage" "build" {
  pipeline = "web"
  name     = "Build"
  order    = 2
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
