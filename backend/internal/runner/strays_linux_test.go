package runner_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// One that left the session and let the output go is not noticed when the action
// succeeds, but ended soon after.
func TestProcessThatOutlivesItsAttemptIsEnded(t *testing.T) {
	t.Parallel()
	bench := runnertest.Start(t, shell(
		`setsid sh -c 'echo "pid $$"; exec >/dev/null 2>&1; touch ready; exec sleep 300' & `+
			`until test -e ready; do sleep 0.01; done`), nil)
	attempt := runnertest.Attempt("a")
	result, _ := bench.Run(t, attempt)
	require.Nil(t, result.Failure)
	requireGone(t, pids(t, bench, attempt, 1)...)
}
