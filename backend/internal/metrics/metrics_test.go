package metrics_test

import (
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/metrics"
)

// An execution that comes back is live again, and ends again, however it ends.
func TestLiveExecutions(t *testing.T) {
	t.Parallel()
	m := metrics.New("test", 2, func() (int, int) { return 0, 0 })
	for _, state := range []string{
		execution.EventStarted, execution.EventFailed, execution.EventResumed, execution.EventCanceled,
		execution.EventStopped, execution.EventStarted, execution.EventSuperseded,
	} {
		m.Committed(&execution.Change{Events: []execution.Event{
			{Subject: execution.SubjectExecution, State: state},
			{Subject: execution.SubjectStage, State: state},
		}})
	}
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		"headrace_executions_live 1", "headrace_executions_started_total 2",
		`headrace_executions_finished_total{status="Failed"} 1`, `headrace_executions_finished_total{status="Cancelled"} 1`,
		`headrace_executions_finished_total{status="Stopped"} 1`, `headrace_executions_finished_total{status="Superseded"} 1`,
	} {
		require.Contains(t, answer.Body.String(), line+"\n")
	}
}
