import {
  to = headrace_pipeline.web
  id = "web"
}

import {
  to = headrace_stage.source
  id = "web/Source"
}

import {
  to = headrace_action.fetch
  id = "web/Source/Fetch"
}

import {
  to = headrace_stage.build
  id = "web/Build"
}

import {
  to = headrace_action.approve
  id = "web/Build/Approve"
}

import {
  to = headrace_pipeline_version.web
  id = "web"
}

import {
  to = headrace_approval_rule.release
  id = "release"
}
