resource "terraform_data" "stages" {
  input = ["Source", "Build"]
}

resource "headrace_pipeline" "web" {
  name = "web"

  dynamic "stage" {
    for_each = terraform_data.stages.output

    content {
      name = stage.value
    }
  }
}
