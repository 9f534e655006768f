package service_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// cloud is a service that runs builds, by the id of the action that asked for one. It
// stands for a real one so that a test decides when it answers.
type cloud struct {
	mu     sync.Mutex
	builds map[string]string
	// down lets it refuse to end builds.
	down atomic.Bool
	// refused counts how often it did.
	refused atomic.Int64
}

func newCloud(l *lab) *cloud {
	c := &cloud{builds: make(map[string]string)}
	l.take, l.abandon = c.take, c.abandon
	return c
}

func (c *cloud) take(_ context.Context, turn action.Turn, tools action.Tools) action.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.builds[turn.ActionExecutionID] == "done" {
		return action.Outcome{Result: action.Result{Summary: "built"}}
	}
	c.builds[turn.ActionExecutionID] = "running"
	_, _ = fmt.Fprintf(tools.Log, "the build runs, asked with %q\n", turn.State)
	return action.Outcome{Again: &action.Again{
		State: []byte("build-7"), Delay: time.Minute, ExternalID: "build-7", ExternalURL: "https://cloud/7",
	}}
}

func (c *cloud) abandon(_ context.Context, turn action.Turn, tools action.Tools) error {
	if c.down.Load() {
		c.refused.Add(1)
		return errors.New("the cloud is down")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.builds[turn.ActionExecutionID] = "ended as " + string(turn.State)
	_, _ = fmt.Fprintln(tools.Log, "the build is ended")
	return nil
}

// finish ends the build of an action by itself.
func (c *cloud) finish(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.builds[id] = "done"
}

func (c *cloud) state(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.builds[id]
}

// begun starts an execution whose build runs, and returns its action.
func (c *cloud) begun(l *lab) (*execution.Execution, *execution.Action) {
	l.t.Helper()
	e := l.start("web")
	var a *execution.Action
	require.Eventually(l.t, func() bool {
		e = l.get(e.ID)
		a = e.Stages[0].Actions[0]
		return a.Details.ExternalID != ""
	}, 10*time.Second, time.Millisecond)
	return e, a
}

// logOf is the whole log of an action.
func (l *lab) logOf(e *execution.Execution, a *execution.Action) string {
	l.t.Helper()
	var text strings.Builder
	require.NoError(l.t, l.TailLog(l.t.Context(), admin, "default", e.ID, a.ID, service.LogTail{}, func(_ int64, data []byte) error {
		text.Write(data)
		return nil
	}))
	return text.String()
}

func (l *lab) notes(e *execution.Execution) []string {
	l.t.Helper()
	found, err := l.Explain(l.t.Context(), admin, "default", e.ID)
	require.NoError(l.t, err)
	return found.Notes
}

// settled waits until no turn is pending.
func (l *lab) settled() {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		return len(l.turns()) == 0
	}, 10*time.Second, time.Millisecond)
}

func TestAbandonIsToldUntilItIsConfirmed(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newCloud(l)
	c.down.Store(true)
	l.pipeline("web", stages("", []string{"~build"}))
	e, a := c.begun(l)
	require.Equal(t, "https://cloud/7", a.Details.ExternalURL, "visible while it runs")
	_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	e = l.becomes(e.ID, pipeline.Stopped)
	require.Eventually(t, func() bool { return c.refused.Load() == 1 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return len(l.notes(e)) == 1 && !strings.Contains(l.notes(e)[0], "is being abandoned") }, 10*time.Second, time.Millisecond)
	require.Equal(t, "the service has not confirmed that action build of stage S0 (build-7 https://cloud/7) was abandoned: the cloud is down; next try at 2026-03-01T12:00:05Z",
		l.notes(e)[0])
	require.Equal(t, "the build runs, asked with \"\"\n--- the service did not confirm the abandon: the cloud is down ---\n", l.logOf(e, a))

	// It outlives the server, and rests longer each time.
	l.later(5 * time.Second)
	require.Eventually(t, func() bool { return c.refused.Load() == 2 }, 10*time.Second, time.Millisecond)
	l.restart()
	require.Eventually(t, func() bool { return strings.Contains(l.notes(e)[0], "next try at 2026-03-01T12:00:15Z") }, 10*time.Second, time.Millisecond)
	c.down.Store(false)
	l.later(10 * time.Second)
	l.settled()
	require.Equal(t, "ended as build-7", c.state(a.ID))
	require.Empty(t, l.notes(e))
	require.Contains(t, l.logOf(e, a), "the build is ended")
	require.Equal(t, pipeline.Stopped, l.get(e.ID).Status)
}

func TestAbandonOutlivesThePipeline(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newCloud(l)
	c.down.Store(true)
	l.pipeline("web", stages("", []string{"~build"}))
	e, a := c.begun(l)
	_, err := l.definitions.Delete(t.Context(), admin, "default", "web", "", true)
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.refused.Load() == 1 }, 10*time.Second, time.Millisecond)
	l.restart()
	c.down.Store(false)
	l.later(5 * time.Second)
	l.settled()
	require.Equal(t, "ended as build-7", c.state(a.ID))
	log, err := l.logs.Open(t.Context(), e.ID, a.ID)
	require.NoError(t, err)
	defer log.Close()
	require.Zero(t, log.Size(), "the log of a deleted pipeline comes back")
}

func TestTimeoutAbandons(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newCloud(l)
	def := stages("", []string{"~build"})
	def.Stages[0].Actions[0].TimeoutInMinutes = 1
	l.pipeline("web", def)
	e, a := c.begun(l)
	l.later(time.Minute)
	e = l.becomes(e.ID, pipeline.Failed)
	require.Equal(t, action.TimedOut, e.Stages[0].Actions[0].Details.Failure.Code)
	l.settled()
	require.Equal(t, "ended as build-7", c.state(a.ID))
}

// The server was down at the deadline. What the service finished before the server is back
// counts.
func TestResultAfterTheDeadlineCounts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newCloud(l)
	def := stages("", []string{"~build"})
	def.Stages[0].Actions[0].TimeoutInMinutes = 1
	l.pipeline("web", def)
	e, a := c.begun(l)
	l.stop()
	c.finish(a.ID)
	l.later(24 * time.Hour)
	l.boot()
	e = l.becomes(e.ID, pipeline.Succeeded)
	require.Equal(t, "built", e.Stages[0].Actions[0].Details.Summary)
	l.settled()
	require.Equal(t, "done", c.state(a.ID), "nothing was abandoned")
}

// A service that never confirms is given up, and explain says so from then on.
func TestAbandonIsGivenUp(t *testing.T) {
	t.Parallel()
	l := unbooted(t)
	var mu sync.Mutex
	var results []execution.AbandonResult
	l.abandoned = func(result execution.AbandonResult) {
		mu.Lock()
		defer mu.Unlock()
		results = append(results, result)
	}
	l.boot()
	l.accounts()
	c := newCloud(l)
	c.down.Store(true)
	l.pipeline("web", stages("", []string{"~build"}))
	e, _ := c.begun(l)
	_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	tried := func(times int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(results) == times }
	}
	require.Eventually(t, tried(1), 10*time.Second, time.Millisecond)
	l.later(24 * time.Hour)
	require.Eventually(t, tried(2), 10*time.Second, time.Millisecond)
	note := "the server gave up abandoning action build of stage S0 (build-7 https://cloud/7) at 2026-03-02T12:00:00Z; " +
		"it may still run and cost money, so end it in the service; the last error was: the cloud is down"
	require.Equal(t, []string{note}, l.notes(e))
	// The note stays as long as the execution, and no server asks the service again.
	due := func(after time.Time) func() bool {
		return func() bool {
			turns := l.turns()
			return len(turns) == 1 && turns[0].DueAt.After(after)
		}
	}
	l.restart()
	l.later(24 * time.Hour)
	require.Eventually(t, due(l.now()), 10*time.Second, time.Millisecond)
	require.Equal(t, []string{note}, l.notes(e))
	_, err = l.definitions.Delete(t.Context(), admin, "default", "web", "", true)
	require.NoError(t, err)
	l.later(24 * time.Hour)
	l.settled()
	require.EqualValues(t, 2, c.refused.Load())
	require.Equal(t, []execution.AbandonResult{execution.AbandonFailed, execution.AbandonGivenUp}, results)
}

// A server without the executor keeps the abandon for one that has it.
func TestAbandonWithoutAnExecutor(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newCloud(l)
	l.pipeline("web", stages("", []string{"~build"}))
	e, a := c.begun(l)
	c.down.Store(true)
	_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return c.refused.Load() == 1 }, 10*time.Second, time.Millisecond)
	l.stop()
	l.downgraded = true
	l.later(time.Minute)
	l.boot()
	require.Eventually(t, func() bool {
		notes := l.notes(e)
		return len(notes) == 1 && strings.Contains(notes[0], "this server has no executor for Invoke/Headrace/Noop/1")
	}, 10*time.Second, time.Millisecond)
	l.stop()
	l.downgraded = false
	c.down.Store(false)
	l.later(time.Hour)
	l.boot()
	l.settled()
	require.Equal(t, "ended as build-7", c.state(a.ID))
}

// A turn that began the work when it was abandoned tells of it late, and the work ends all
// the same.
func TestTurnUnderWayWhenItsActionIsAbandoned(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	c := newCloud(l)
	asked, goOn := make(chan struct{}), make(chan struct{})
	l.take = func(ctx context.Context, turn action.Turn, tools action.Tools) action.Outcome {
		close(asked)
		<-goOn
		return c.take(ctx, turn, tools)
	}
	l.pipeline("web", stages("", []string{"~build"}))
	e := l.start("web")
	<-asked
	_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
	require.NoError(t, err)
	a := l.becomes(e.ID, pipeline.Stopped).Stages[0].Actions[0]
	require.Eventually(t, func() bool { return c.state(a.ID) == "ended as " }, 10*time.Second, time.Millisecond, "there was nothing to end yet")
	close(goOn)
	require.Eventually(t, func() bool { return c.state(a.ID) == "ended as build-7" }, 10*time.Second, time.Millisecond)
	l.settled()
	e = l.get(e.ID)
	require.Equal(t, pipeline.Stopped, e.Status)
	require.Equal(t, pipeline.Abandoned, e.Stages[0].Actions[0].Status)
}

// The store fails between a turn and its commit, as a server does that dies there: the turn
// is taken again.
func TestTurnIsTakenAgain(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	var takes atomic.Int64
	l.take = func(_ context.Context, _ action.Turn, tools action.Tools) action.Outcome {
		_, _ = fmt.Fprintf(tools.Log, "take %d\n", takes.Add(1))
		if takes.Load() == 1 {
			l.store.failing.Store(1)
		}
		return action.Outcome{}
	}
	l.pipeline("web", stages("", []string{"~build"}))
	e := l.start("web")
	require.Eventually(t, func() bool { return takes.Load() == 1 && l.store.failing.Load() < 1 }, 10*time.Second, time.Millisecond)
	require.Eventually(t, func() bool {
		l.later(time.Second)
		return l.get(e.ID).Status == pipeline.Succeeded
	}, 10*time.Second, time.Millisecond)
	e = l.get(e.ID)
	require.EqualValues(t, 2, takes.Load())
	require.Equal(t, "take 1\ntake 2\n", l.logOf(e, e.Stages[0].Actions[0]))
}

// A turn stores an artifact, and the next action takes it.
func TestTurnUsesArtifacts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.take = func(ctx context.Context, _ action.Turn, tools action.Tools) action.Outcome {
		deadline, bounded := ctx.Deadline()
		if !bounded || time.Until(deadline) > tools.Budget {
			return action.Outcome{Result: action.Failed(action.JobFailed, "the turn may take longer than its budget")}
		}
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			return action.Outcome{Result: action.Failed(action.JobFailed, "%s", err)}
		}
		defer func() { _ = root.Close() }()
		out, err := tools.Artifacts.Store(ctx, "app", root, action.Files{Dir: "."})
		if err != nil {
			return action.Outcome{Result: action.Failed(action.JobFailed, "%s", err)}
		}
		return action.Outcome{Result: action.Result{Artifacts: []action.Artifact{out.Artifact}}}
	}
	def := stages("", []string{"~build", "deploy"})
	def.Stages[0].Actions[1].InputArtifacts = []string{"app"}
	l.pipeline("web", def)
	l.start("web")
	attempt := l.acquire("r1").Attempt
	require.Len(t, attempt.Inputs, 1)
	_, err := l.artifacts.Tree(t.Context(), attempt.Inputs[0].Digest)
	require.NotErrorIs(t, err, artifact.ErrNotStored)
	require.NoError(t, err)
}
