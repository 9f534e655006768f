package service_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// prints writes the log of an attempt, as a runner does.
func (l *lab) prints(a runner.Assignment, text string) action.Log {
	l.t.Helper()
	log := l.logs.Writer(&a.Attempt)
	_, err := log.Write([]byte(text))
	require.NoError(l.t, err)
	return log
}

func (l *lab) smallLogs(a runner.Assignment) []action.SmallLog {
	l.t.Helper()
	found, err := service.SmallLogs{Store: l.store}.SmallLogs(l.t.Context(), a.Attempt.ExecutionID, a.Attempt.ActionExecutionID)
	require.NoError(l.t, err)
	return found
}

func (l *lab) tail(a runner.Assignment, follow bool) (text string, err error) {
	err = l.TailLog(context.Background(), admin, "default", a.Attempt.ExecutionID, a.Attempt.ActionExecutionID, service.LogTail{Follow: follow},
		func(_ int64, data []byte) error {
			text += string(data)
			return nil
		})
	return text, err
}

// The log of a quick action is in the commit of its result, so that who follows it on another
// server has read all of it when the action has ended.
func TestSmallLogIsFollowedOnAnotherServer(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, time.Hour, false)
	one.pipeline("web", stages("", []string{"a"}))
	one.start("web")
	a := one.acquire("r1")
	type tailed struct {
		text string
		err  error
	}
	followed := make(chan tailed, 1)
	go func() {
		text, err := two.tail(a, true)
		followed <- tailed{text, err}
	}()
	log := one.prints(a, "needle\n")
	small := log.Small()
	require.NotNil(t, small)
	require.Nil(t, one.report("r1", a, action.Result{Log: small}))
	log.Kept()
	require.Equal(t, tailed{"needle\n", nil}, <-followed)

	pattern, err := logs.NewPattern("needle", logs.Options{})
	require.NoError(t, err)
	matches := 0
	_, err = two.SearchLogs(t.Context(), admin, "default", service.LogSearch{ExecutionID: a.Attempt.ExecutionID, Pattern: pattern, Matches: 10},
		func(service.LogPlace, logs.Match) error { matches++; return nil })
	require.NoError(t, err)
	require.Equal(t, 1, matches)
}

func TestSmallLogIsKeptOnceWithItsResult(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	result := action.Result{Log: l.prints(a, "once\n").Small()}
	l.store.failing.Store(1)
	_, err := l.Report(t.Context(), "r1", a.Attempt, result)
	require.ErrorIs(t, err, errDisk)
	require.Empty(t, l.smallLogs(a))
	answer, err := l.Report(t.Context(), "r1", a.Attempt, result)
	require.NoError(t, err)
	require.True(t, answer.Counted)
	again, err := l.Report(t.Context(), "r1", a.Attempt, result)
	require.NoError(t, err)
	require.False(t, again.Counted)
	require.Len(t, l.smallLogs(a), 1)

	// A restart finds it, and retention removes it with the other outputs.
	l.restart()
	text, err := l.tail(a, false)
	require.NoError(t, err)
	require.Equal(t, "once\n", text)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		_, err := tx.RemoveOutputs(ctx, []string{e.ID}, l.now(), l.now())
		return err
	}))
	require.Empty(t, l.smallLogs(a))
}

// Nothing of a result that has no effect is kept, and its runner learns of that.
func TestSmallLogOfAStaleAttempt(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	log := l.prints(a, "abandoned\n")
	small := log.Small()
	_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	answer, err := l.Report(t.Context(), "r1", a.Attempt, action.Result{Log: small})
	require.NoError(t, err)
	require.False(t, answer.Counted)
	require.Empty(t, l.smallLogs(a))
	require.NoError(t, log.Close())
	text, err := l.tail(a, false)
	require.NoError(t, err)
	require.Equal(t, "abandoned\n", text)
}

// A rule of a condition has a log too.
func TestSmallLogOfARule(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	def := stages("", []string{"a"})
	def.Stages[0].BeforeEntry = &pipeline.Condition{Result: pipeline.ResultFail, Rules: []pipeline.Rule{{
		Name: "check", Provider: "Commands", Version: "1", Commands: []string{"true"},
	}}}
	l.pipeline("web", def)
	l.start("web")
	a := l.acquire("r1")
	next := l.report("r1", a, action.Result{Log: l.prints(a, "checked\n").Small()})
	require.NotNil(t, next, "the action of the stage")
	require.Len(t, l.smallLogs(a), 1)
	text, err := l.tail(a, false)
	require.NoError(t, err)
	require.Equal(t, "checked\n", text)
}
