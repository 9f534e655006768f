package runner_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// smallLog is the log of an attempt that is small, and says how it ends.
type smallLog struct{ ended chan string }

func (l smallLog) Writer(*action.Attempt) action.Log { return l }
func (smallLog) Write(p []byte) (int, error)         { return len(p), nil }
func (smallLog) Small() *action.SmallLog             { return &action.SmallLog{Attempt: 1, Data: []byte("small")} }
func (l smallLog) Kept()                             { l.ended <- "kept" }
func (l smallLog) Close() error {
	l.ended <- "stored"
	return nil
}

// A small log goes with the result. It is stored if the result had no effect.
func TestSmallLogGoesWithTheResult(t *testing.T) {
	t.Parallel()
	for want, refuses := range map[string]bool{"kept": false, "stored": true} {
		log := smallLog{make(chan string, 2)}
		bench := runnertest.Start(t, executor(func(context.Context, action.Attempt, action.Workspace) action.Result { return action.Result{} }),
			func(c *runner.Config) { c.Logs = log })
		bench.Jobs.Refuses.Store(refuses)
		bench.Jobs.Give(runnertest.Attempt("a"))
		require.Equal(t, "small", string(bench.Wait(t).Result.Log.Data))
		require.Equal(t, want, <-log.ended)
		bench.Stop()
		require.Empty(t, log.ended)
	}
}

// What the commit of the result keeps needs no storage.
func TestSmallLogDoesNotWaitForTheStorage(t *testing.T) {
	t.Parallel()
	var storage *removableStorage
	var bench *runnertest.Bench
	away := make(chan error, 1)
	run := executor(func(context.Context, action.Attempt, action.Workspace) action.Result {
		away <- storage.remove()
		return action.Result{}
	})
	storage, bench = startOnStorage(t, run, func(c *runner.Config) { c.Logs = smallLog{make(chan string, 1)} })
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.NoError(t, <-away)
	require.NotNil(t, bench.Wait(t).Result.Log)
}
