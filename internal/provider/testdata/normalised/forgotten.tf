removed {
  from = headrace_pipeline.web

  lifecycle {
    destroy = false
  }
}

removed {
  from = headrace_stage.source

  lifecycle {
    destroy = false
  }
}

removed {
  from = headrace_action.fetch

  lifecycle {
    destroy = false
  }
}

removed {
  from = headrace_stage.build

  lifecycle {
    destroy = false
  }
}

removed {
  from = headrace_action.approve

  lifecycle {
    destroy = false
  }
}

removed {
  from = headrace_pipeline_version.web

  lifecycle {
    destroy = false
  }
}

removed {
  from = headrace_approval_rule.release

  lifecycle {
    destroy = false
  }
}
