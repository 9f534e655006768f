variable "tag" {
  type    = string
  default = null
}

# A value of which only an apply knows that it is null.
resource "terraform_data" "commit" {
  input = var.tag == "none" ? "x" : null
}

resource "headrace_pipeline" "web" {
  name = "web"

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
        Branch        = var.tag == null ? "main" : null
        Tag           = var.tag
        Commit        = terraform_data.commit.output
      }
    }
  }

  stage {
    name = "Build"

    action {
      name             = "Compile"
      category         = "Build"
      owner            = "Headrace"
      provider         = "Commands"
      version          = "1"
      input_artifacts  = ["source"]
      output_artifacts = ["binary"]
      commands         = ["make"]

      # An import brings no map that holds nothing but nulls.
      configuration         = var.tag == null ? { ProjectName = null } : null
      output_artifact_files = var.tag == null ? { binary = null, report = null } : null
    }

    before_entry {
      condition {
        result = "FAIL"

        rule {
          name = "hours"

          rule_type_id {
            provider = "DeploymentWindow"
          }

          configuration = {
            Cron     = "* * 9-17 ? * *"
            TimeZone = null
          }
        }
      }
    }
  }
}
