package pipeline_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// withRollback is a pipeline whose stage Production has that on_rollback block.
func withRollback(block string) string {
	return fmt.Sprintf(`
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
        Branch        = "main"
      }
    }
  }

  stage {
    name = "Production"

    before_entry {
      condition {
        result = "FAIL"

        rule {
          name = "office-hours"

          rule_type_id {
            provider = "DeploymentWindow"
          }

          configuration = {
            Cron = "* * 9-16 ? * MON-FRI"
          }
        }
      }
    }

    on_failure {
      result = "ROLLBACK"
    }

    %s

    action {
      name     = "Deploy"
      category = "Deploy"
      owner    = "Headrace"
      provider = "Commands"
      version  = "1"
      commands = ["true"]
    }
  }
}
`, block)
}

// TestOnRollback declares the gates that rollbacks skip, changes and clears them. A block
// that skips nothing is the same as none: it publishes nothing, and stays as written.
func TestOnRollback(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	block := tfjsonpath.New("stage").AtSliceIndex(1).AtMapKey("on_rollback")
	skips := func(conditions, approvals bool) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, block, knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectExact(map[string]knownvalue.Check{
			"skip_conditions": knownvalue.Bool(conditions), "skip_approvals": knownvalue.Bool(approvals),
		})}))
	}
	version := func(n int64) statecheck.StateCheck {
		return statecheck.ExpectKnownValue(address, tfjsonpath.New("version"), knownvalue.Int64Exact(n))
	}
	imported := resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: "web", ImportStateVerify: true}
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				Config:            withRollback("on_rollback {\n skip_conditions = true\n skip_approvals = true\n}"),
				ConfigStateChecks: []statecheck.StateCheck{skips(true, true), version(1)},
			},
			imported,
			{
				Config:            withRollback("on_rollback {\n skip_conditions = true\n}"),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{skips(true, false), version(2)},
			},
			imported,
			{
				Config:            withRollback("on_rollback {\n skip_conditions = false\n}"),
				ConfigPlanChecks:  planned(plancheck.ResourceActionUpdate),
				ConfigStateChecks: []statecheck.StateCheck{skips(false, false), version(3)},
			},
			{
				Config:           withRollback("on_rollback {}"),
				ConfigPlanChecks: planned(plancheck.ResourceActionNoop),
			},
			{
				Config:            withRollback(""),
				ConfigStateChecks: []statecheck.StateCheck{statecheck.ExpectKnownValue(address, block, knownvalue.ListSizeExact(0)), version(3)},
			},
			imported,
		},
	})
}
