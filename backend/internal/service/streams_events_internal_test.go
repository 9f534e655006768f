package service

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// TestRetriesAreToldWithLaterEventsOfTheirStage holds that neither an override nor
// the retry of another stage counts.
func TestRetriesAreToldWithLaterEventsOfTheirStage(t *testing.T) {
	t.Parallel()
	tell := newEnricher(nil, "e", 0)
	tell.head = &execution.Execution{}
	at := func(minute int) time.Time { return time.Date(2026, 11, 25, 9, minute, 0, 0, time.UTC) }
	event := func(minute int, subject execution.Subject, stage string, state execution.EventState) time.Time {
		return tell.tell(execution.Event{At: at(minute), Subject: subject, Stage: stage, State: state}).Retried
	}
	require.Zero(t, event(1, execution.SubjectStage, "Deploy", execution.EventFailed))
	require.Equal(t, at(2), event(2, execution.SubjectStage, "Deploy", execution.EventResumed))
	require.Equal(t, at(2), event(3, execution.SubjectStage, "Deploy", execution.EventFailed))
	require.Zero(t, event(4, execution.SubjectCondition, "Deploy", execution.EventOverridden))
	require.Equal(t, at(2), event(4, execution.SubjectStage, "Deploy", execution.EventResumed), "an override is no retry")
	require.Equal(t, at(5), event(5, execution.SubjectStage, "Deploy", execution.EventResumed))
	require.Zero(t, event(6, execution.SubjectStage, "Verify", execution.EventStarted))
	require.Zero(t, event(6, execution.SubjectExecution, "", execution.EventResumed))
}
