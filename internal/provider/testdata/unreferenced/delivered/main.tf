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

import {
  to = headrace_webhook.releases
  id = "releases"
}

resource "headrace_webhook" "releases" {
  name              = "releases"
  kind              = "generic"
  secret_wo         = "hunter22-of-the-webhook"
  secret_wo_version = 1

  authentication {
    bearer {}
  }
}

import {
  to = headrace_trigger.released
  id = "released"
}

resource "headrace_trigger" "released" {
  name     = "released"
  pipeline = "web"

  webhook {
    webhook = "releases"
  }
}

import {
  to = headrace_connection.forge
  id = "forge"
}

resource "headrace_connection" "forge" {
  name = "forge"

  gitea {
    endpoint         = "https://127.0.0.1:1"
    token_wo         = "a token of the forge"
    token_wo_version = 1
  }
}

import {
  to = headrace_webhook.forge
  id = "forge"
}

resource "headrace_webhook" "forge" {
  name              = "forge"
  kind              = "gitea"
  connection_name   = "forge"
  secret_wo         = "hunter22-of-the-forge"
  secret_wo_version = 1
}
