package provider_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestServerOfTheSameApply plans and applies where the address of the server
// comes out of the same apply, and plans again where it will change.
func TestServerOfTheSameApply(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	file := config.StaticFile("testdata/decided_by_apply.tf")
	with := func(generation int) config.Variables {
		return config.Variables{
			"endpoint": config.StringVariable(backend.Endpoint), "generation": config.IntegerVariable(generation),
		}
	}
	untouched := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
		plancheck.ExpectResourceAction("headrace_approval_rule.release", plancheck.ResourceActionNoop),
	}}
	resource.Test(t, resource.TestCase{
		Steps: []resource.TestStep{
			{ProtoV6ProviderFactories: backend.Provider(), ConfigFile: file, ConfigVariables: with(1)},
			// The rule cannot be read, and stays as it is in the state.
			{ProtoV6ProviderFactories: backend.Provider(), ConfigFile: file, ConfigVariables: with(2), ConfigPlanChecks: untouched},
		},
	})
}

func TestDataSourceOfAnUndecidedServer(t *testing.T) {
	t.Parallel()
	resource.Test(t, resource.TestCase{
		Steps: []resource.TestStep{{
			ProtoV6ProviderFactories: acctest.Offline(),

			ConfigFile:  config.StaticFile("testdata/undecided_data.tf"),
			ExpectError: acctest.Says("the provider's configuration depends on values that are known only after an apply"),
		}},
	})
}
