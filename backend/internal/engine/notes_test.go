package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestStillDeployed says what is deployed only as far as it is certain.
func TestStillDeployed(t *testing.T) {
	t.Parallel()
	act := func(work pipeline.Work, status pipeline.Status, code action.FailureCode) *execution.Action {
		a := &execution.Action{Name: "a", Work: work, Status: status}
		if code != "" {
			a.Details.Failure = &action.Failure{Code: code}
		}
		return a
	}
	run := func(number int64, status pipeline.Status, actions ...*execution.Action) *execution.Execution {
		return &execution.Execution{
			ID: string(rune('0' + number)), Pipeline: "web", Number: number, Status: status,
			Stages: []*execution.Stage{{Name: "Prod", Actions: actions}},
		}
	}
	const untouched = "no action of stage Prod ran for release web#3: what was deployed there before is still deployed"
	const attempt, approval = pipeline.WorkAttempt, pipeline.WorkApproval
	done, broken := act(attempt, pipeline.Succeeded, ""), act(attempt, pipeline.Failed, action.JobFailed)
	for name, test := range map[string]struct {
		failed, rollback *execution.Execution
		// ofRollback is what the rollback says, ofFailed what the failed execution says.
		ofRollback, ofFailed string
	}{
		"a smoke test failed": {
			run(3, pipeline.Failed, done), run(4, pipeline.InProgress),
			"release web#3 is still deployed in stage Prod until this rollback finishes",
			"release web#3 is still deployed in stage Prod until rollback web#4 finishes",
		},
		"an action failed": {
			run(3, pipeline.Failed, done, broken), run(4, pipeline.InProgress, done),
			"release web#3 is still deployed in stage Prod, as far as its actions ran, until this rollback finishes",
			"release web#3 is still deployed in stage Prod, as far as its actions ran, until rollback web#4 finishes",
		},
		"the rollback ended before it did anything": {
			run(3, pipeline.Failed, done), run(4, pipeline.Stopped, act(approval, pipeline.Abandoned, "")),
			"release web#3 is still deployed in stage Prod because this rollback ended before it ran an action",
			"release web#3 is still deployed in stage Prod because rollback web#4 ended before it ran an action",
		},
		"the rollback failed halfway": {
			run(3, pipeline.Failed, done), run(4, pipeline.Failed, broken),
			"this rollback did not finish: release web#3 may still be deployed in stage Prod, at least in part",
			"rollback web#4 did not finish: release web#3 may still be deployed in stage Prod, at least in part",
		},
		"the rollback succeeded": {failed: run(3, pipeline.Failed, done), rollback: run(4, pipeline.Succeeded, done)},
		"nobody approved the release": {
			run(3, pipeline.Failed, act(approval, pipeline.Failed, action.ApprovalRejected)), run(4, pipeline.InProgress),
			untouched, untouched,
		},
		"no action could start": {
			run(3, pipeline.Failed, act(attempt, pipeline.Failed, action.ConfigurationError)), run(4, pipeline.Stopped),
			untouched, untouched,
		},
		"the rollback of a release that never ran runs": {
			failed: run(3, pipeline.Failed, act(approval, pipeline.Failed, action.ApprovalRejected)), rollback: run(4, pipeline.InProgress, done),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.ofRollback, engine.StillDeployed(test.failed, test.rollback, test.rollback))
			require.Equal(t, test.ofFailed, engine.StillDeployed(test.failed, test.rollback, test.failed))
		})
	}
}
