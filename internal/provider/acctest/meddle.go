package acctest

import (
	"context"

	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// Between returns a check that runs between a plan and its apply, where somebody
// else may get in first.
func Between(meddle func(context.Context) error) plancheck.PlanCheck {
	return between{meddle: meddle}
}

type between struct {
	meddle func(context.Context) error
}

// CheckPlan meddles.
func (b between) CheckPlan(ctx context.Context, _ plancheck.CheckPlanRequest, response *plancheck.CheckPlanResponse) {
	response.Error = b.meddle(ctx)
}

// Afterwards returns a check that runs after an apply, before the plan that
// looks for differences.
func Afterwards(meddle func(context.Context) error) statecheck.StateCheck {
	return afterwards{meddle: meddle}
}

type afterwards struct {
	meddle func(context.Context) error
}

// CheckState meddles.
func (a afterwards) CheckState(ctx context.Context, _ statecheck.CheckStateRequest, response *statecheck.CheckStateResponse) {
	response.Error = a.meddle(ctx)
}
