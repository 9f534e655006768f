package metrics_test

import (
	"errors"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/metrics"
)

func TestExecutionsAreCounted(t *testing.T) {
	t.Parallel()
	down := false
	m := metrics.New("test", func() (metrics.Counts, error) {
		if down {
			return metrics.Counts{}, errors.New("the database does not answer")
		}
		return metrics.Counts{Live: 7, Queued: 5, Running: 3}, nil
	})
	for _, state := range []execution.EventState{
		execution.EventStarted, execution.EventFailed, execution.EventResumed, execution.EventCanceled,
		execution.EventStopped, execution.EventStarted, execution.EventSuperseded,
	} {
		m.Committed(&execution.Change{Events: []execution.Event{
			{Subject: execution.SubjectExecution, State: state},
			{Subject: execution.SubjectStage, State: state},
		}})
	}
	m.Delivered("github", "accepted", 2*time.Millisecond)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		"headrace_executions_live 7", "headrace_attempts_queued 5", "headrace_attempts_running 3", "headrace_executions_started_total 2",
		`headrace_executions_finished_total{status="Failed"} 1`, `headrace_executions_finished_total{status="Cancelled"} 1`,
		`headrace_hook_requests_total{kind="github",outcome="accepted"} 1`, `headrace_hook_request_duration_seconds_count{kind="github"} 1`,
		`headrace_executions_finished_total{status="Stopped"} 1`, `headrace_executions_finished_total{status="Superseded"} 1`,
	} {
		require.Contains(t, answer.Body.String(), line+"\n")
	}

	down = true
	answer = httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	require.Contains(t, answer.Body.String(), "headrace_executions_started_total 2\n")
	require.NotContains(t, answer.Body.String(), "headrace_executions_live")
}
