package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestEqualDefinitionsHaveOneEtag holds that what the server stores alike has the same etag, and
// publishes no version: a null entry that comes and goes, an empty block or list, and an
// import of all of it. Every step ends with an empty plan.
func TestEqualDefinitionsHaveOneEtag(t *testing.T) {
	t.Parallel()
	text := func(names ...string) string {
		var all strings.Builder
		for _, name := range names {
			part, err := os.ReadFile(filepath.Join("testdata", "normalised", name+".tf"))
			require.NoError(t, err)
			all.Write(part)
		}
		return all.String()
	}
	parts, forgotten, imported := text("parts"), text("forgotten"), text("parts", "imports")
	for name, test := range map[string]struct{ plain, null string }{
		"beside another entry": {plain: `{"CustomData":"x"}`, null: `{"CustomData":"x","ExternalEntityLink":null}`},
		"the only entry":       {plain: `{}`, null: `{"CustomData":null}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			same := compare.ValuesSame()
			etags := map[string]interface {
				AddStateValue(address string, at tfjsonpath.Path) statecheck.StateCheck
			}{
				"headrace_pipeline.web": statecheck.CompareValue(same), "headrace_approval_rule.release": statecheck.CompareValue(same),
				"headrace_stage.source": statecheck.CompareValue(same), "headrace_action.fetch": statecheck.CompareValue(same),
				"headrace_stage.build": statecheck.CompareValue(same), "headrace_action.approve": statecheck.CompareValue(same),
			}
			step := func(configuration, text string, plan ...plancheck.PlanCheck) resource.TestStep {
				checks := []statecheck.StateCheck{
					statecheck.ExpectKnownValue("headrace_pipeline_version.web", tfjsonpath.New("version"), knownvalue.Int64Exact(1)),
				}
				for address, etag := range etags {
					checks = append(checks, etag.AddStateValue(address, tfjsonpath.New("etag")))
				}
				return resource.TestStep{
					Config: text, ConfigVariables: config.Variables{"configuration": config.StringVariable(configuration)},
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: plan}, ConfigStateChecks: checks,
				}
			}
			empty, backend := plancheck.ExpectEmptyPlan(), acctest.Start(t)
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: backend.Provider(),
				Steps: []resource.TestStep{
					step(test.null, parts), step(test.plain, parts, empty), step(test.null, parts, empty),
					{Config: forgotten},
					step(test.null, imported, plancheck.ExpectResourceAction("headrace_action.fetch", plancheck.ResourceActionNoop),
						plancheck.ExpectKnownValue("headrace_action.approve", tfjsonpath.New("etag"), knownvalue.NotNull()),
						plancheck.ExpectKnownValue("headrace_stage.build", tfjsonpath.New("etag"), knownvalue.NotNull())),
					step(test.plain, parts, empty),
				},
			})
		})
	}
}
