package provider_test

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/compare"
	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

// TestReplacedPipeline replaces a pipeline: by its uid all that belongs to it is
// created again in the same apply, its freeze too. The plan after each step is
// empty, or the step fails.
func TestReplacedPipeline(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	frozen := acctest.Afterwards(func(ctx context.Context) error {
		found, err := backend.API.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{
			Name: "accounts/default/pipelines/composed",
		})
		if err == nil && found.GetState().GetStages()[1].GetTransition().GetDisabledReason() != "Freeze" {
			return errors.New("the freeze is lost")
		}
		return err
	})
	another := statecheck.CompareValue(compare.ValuesDiffer())
	uid := func() statecheck.StateCheck {
		return another.AddStateValue("headrace_pipeline.composed", tfjsonpath.New("uid"))
	}
	file := config.StaticFile("testdata/replaced.tf")
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{ConfigFile: file, ConfigStateChecks: []statecheck.StateCheck{frozen, uid()}},
			{ConfigFile: file, Taint: []string{"headrace_pipeline.composed"}, ConfigStateChecks: []statecheck.StateCheck{frozen, uid()}},
		},
	})
}
