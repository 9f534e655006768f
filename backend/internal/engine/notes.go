package engine

import (
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// StillDeployed says that the release whose failure started an automatic rollback is
// still deployed: while the rollback lives, and if it ended without success. If the
// release never ran an action in the stage, it says so, until the rollback runs one. It
// returns nothing if the rollback succeeded. The explained one is one of the two.
func StillDeployed(failed, rollback, explained *execution.Execution) string {
	stage := rollback.Current()
	switch {
	case rollback.Status == pipeline.Succeeded || failed.Current() == nil:
		return ""
	case !hasRun(failed.Current()) && hasRun(stage):
		return ""
	case !hasRun(failed.Current()):
		// An older server rolled it back all the same.
		return Unchanged(failed)
	}
	release := fmt.Sprintf("release %s#%d", failed.Pipeline, failed.Number)
	deployed := fmt.Sprintf("%s is still deployed in stage %s", release, stage.Name)
	if lastFailed(failed.Current()) != nil {
		// One of the actions failed, and no one can tell which of them deploys.
		deployed += ", as far as its actions ran,"
	}
	name := fmt.Sprintf("rollback %s#%d", rollback.Pipeline, rollback.Number)
	if explained.ID == rollback.ID {
		name = "this rollback"
	}
	switch {
	case !rollback.Status.Terminal():
		return deployed + " until " + name + " finishes"
	case hasRun(stage):
		return fmt.Sprintf("%s did not finish: %s may still be deployed in stage %s, at least in part", name, release, stage.Name)
	}
	return deployed + " because " + name + " ended before it ran an action"
}

// Unchanged says that what was deployed before a release still is, because none of its
// actions ran in the stage in which it failed. It returns nothing if one did.
func Unchanged(failed *execution.Execution) string {
	stage := failed.Current()
	if hasRun(stage) {
		return ""
	}
	return fmt.Sprintf("no action of stage %s ran for release %s#%d: what was deployed there before is still deployed",
		stage.Name, failed.Pipeline, failed.Number)
}

// hasRun tells whether an action of a stage has run that is more than a wait for people,
// also one that a retry replaced.
func hasRun(stage *execution.Stage) bool {
	for _, a := range stage.Actions {
		switch {
		case a.Work == pipeline.WorkApproval:
		case a.Details.Failure != nil && a.Details.Failure.Code == action.ConfigurationError:
		default:
			return true
		}
	}
	return false
}

// SkippedGates says which gates an automatic rollback passed without waiting, or nothing.
func SkippedGates(e *execution.Execution) string {
	stage := e.Current()
	if stage == nil {
		return ""
	}
	var gates []string
	if stage.Entry != nil && stage.Entry.Skipped != "" {
		gates = append(gates, "the approval of the entry")
	}
	for _, c := range stage.Conditions {
		if c.Status == pipeline.Skipped {
			gates = append(gates, "condition "+c.Kind.Argument())
		}
	}
	for _, a := range stage.Actions {
		if !a.Retried && a.Details.Approval != nil && a.Details.Approval.Skipped != "" {
			gates = append(gates, "action "+a.Name)
		}
	}
	if len(gates) == 0 {
		return ""
	}
	return fmt.Sprintf("on_rollback of stage %s skipped %s", stage.Name, strings.Join(gates, ", "))
}
