package loop

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// failing is an executor that fails when its context ends, or at once.
type failing struct{ waits bool }

func (f failing) Take(ctx context.Context, _ action.Turn, _ action.Tools) action.Outcome {
	if f.waits {
		<-ctx.Done()
	}
	return action.Outcome{Result: action.Failed(action.SystemUnavailable, "no answer")}
}

func (failing) Abandon(context.Context, action.Turn, action.Tools) error { return nil }

// An executor that is cut off at the end of its budget did not see how the work ended, so
// the work is abandoned.
func TestFailureAfterTheBudget(t *testing.T) {
	t.Parallel()
	id := pipeline.TypeID{Category: pipeline.CategoryBuild, Owner: "Test", Provider: "Cloud", Version: "1"}
	for _, waits := range []bool{false, true} {
		registry := action.NewRegistry()
		registry.AddTurn(id, failing{waits: waits})
		l := New(Config{Registry: registry, Logs: noLogs{}, Log: hclog.NewNullLogger(), Clock: time.Now})
		ctx := t.Context()
		if waits {
			limited, cancel := context.WithTimeout(ctx, time.Nanosecond)
			defer cancel()
			ctx = limited
		}
		turn := &execution.Turn{ID: "a", ExecutionID: "e", Work: &action.Turn{Action: pipeline.Action{
			Category: id.Category, Owner: id.Owner, Provider: id.Provider, Version: id.Version,
		}}}
		in, err := l.take(ctx, turn)
		require.NoError(t, err)
		finish, ok := in.(engine.Finish)
		require.True(t, ok)
		require.Equal(t, action.SystemUnavailable, finish.Result.Failure.Code)
		require.Equal(t, waits, finish.Unanswered)
	}
}

// openings counts the logs that are opened.
type openings struct{ count int }

func (o *openings) TurnWriter(action.Scope) io.WriteCloser {
	o.count++
	return discard{io.Discard}
}

// Most turns write nothing, and a log that nobody writes to is not opened.
func TestLogOfATurnIsOpenedByTheFirstWrite(t *testing.T) {
	t.Parallel()
	opened := &openings{}
	l := New(Config{Logs: opened, Log: hclog.NewNullLogger()})
	l.turnLog(action.Scope{}).close()
	require.Zero(t, opened.count)
	log := l.turnLog(action.Scope{})
	for range 2 {
		_, err := log.Write([]byte("a line\n"))
		require.NoError(t, err)
	}
	log.close()
	require.Equal(t, 1, opened.count)
}
