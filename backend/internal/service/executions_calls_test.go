package service_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// The same request at two servers at once: who comes second learns it when it
// commits, and answers with what the first one started.
func TestTwinOfARequestAtAnotherServer(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Queued, []string{"a"}))
	first, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{RequestID: "r1"})
	require.NoError(t, err)
	l.store.breakNext("Request")
	second, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{RequestID: "r1"})
	require.NoError(t, err)
	require.Equal(t, first.ID, second.ID)
	all, err := l.List(t.Context(), admin, "default", service.ExecutionQuery{})
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestStartOncePerRequestID(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Queued, []string{"a"}))
	l.pipeline("api", stages(pipeline.Queued, []string{"a"}))
	begin := func(name, requestID string) string {
		e, err := l.Start(t.Context(), admin, "default", name, service.StartInput{RequestID: requestID})
		require.NoError(t, err)
		return e.ID
	}
	var group sync.WaitGroup
	ids := make([]string, 20)
	errs := make([]error, 20)
	for i := range ids {
		group.Go(func() {
			var e *execution.Execution
			if e, errs[i] = l.Start(t.Context(), admin, "default", "web", service.StartInput{RequestID: "r1"}); e != nil {
				ids[i] = e.ID
			}
		})
	}
	group.Wait()
	for i := range ids {
		require.NoError(t, errs[i])
		require.Equal(t, ids[0], ids[i])
	}
	require.NotEqual(t, ids[0], begin("web", "r2"))
	first, second := begin("web", ""), begin("web", "")
	require.NotEqual(t, first, second)
	l.restart()
	require.Equal(t, ids[0], begin("web", "r1"), "also after a restart")
	_, err := l.Start(t.Context(), admin, "default", "api", service.StartInput{RequestID: "r1"})
	requireRefused(t, err, service.KindAlreadyExists, pipeline.ReasonAlreadyExists)
	all, err := l.List(t.Context(), admin, "default", service.ExecutionQuery{})
	require.NoError(t, err)
	require.Len(t, all, 4)
}

func TestStartTakesVariables(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	def := stages("", []string{"a"})
	usual := "usual"
	def.Variables = []pipeline.Variable{{Name: "env"}, {Name: "size", DefaultValue: &usual}}
	l.pipeline("web", def)
	e, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{Variables: map[string]string{"env": "prod"}})
	require.NoError(t, err)
	require.Equal(t, map[string]string{"env": "prod", "size": "usual"}, e.Variables)
	require.Equal(t, "admin", e.Trigger.Principal)
	for _, given := range []map[string]string{nil, {"env": "prod", "unknown": "x"}, {"env": ""}} {
		_, err = l.Start(t.Context(), admin, "default", "web", service.StartInput{Variables: given})
		var refused *service.Error
		require.ErrorAs(t, err, &refused, "%v", given)
		require.Equal(t, service.KindInvalid, refused.Kind)
		require.NotEmpty(t, refused.Violations)
	}
	next, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{Variables: map[string]string{"env": "prod"}})
	require.NoError(t, err)
	require.Equal(t, int64(2), next.Number, "refused starts leave no gap")
}

func TestStartOfWhatCannotRun(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	_, err := l.Start(t.Context(), admin, "default", "nothing", service.StartInput{})
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreatePipeline(ctx, definition.Pipeline{ID: "p", Account: "default", Name: "draft", Composed: true, Revision: 1})
	}))
	_, err = l.Start(t.Context(), admin, "default", "draft", service.StartInput{})
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonNothingToPublish)
}

func TestStartIsLimited(t *testing.T) {
	t.Parallel()
	for _, mode := range []pipeline.ExecutionMode{pipeline.Queued, pipeline.Parallel} {
		l := newLab(t)
		l.pipeline("web", stages(mode, []string{"a"}))
		var first *execution.Execution
		for range service.MaxLive {
			if e := l.start("web"); first == nil {
				first = e
			}
		}
		_, err := l.Start(t.Context(), admin, "default", "web", service.StartInput{})
		requireRefused(t, err, service.KindExhausted, pipeline.ReasonLimitExceeded)
		_, err = l.Stop(t.Context(), admin, "default", first.ID, true, "")
		require.NoError(t, err)
		l.start("web")
	}
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Superseded, []string{"a"}))
	for range service.MaxLive + 5 {
		l.start("web")
	}
}

func TestConcurrentStarts(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Superseded, []string{"a"}))
	const n = 40
	var group sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		group.Go(func() { _, errs[i] = l.Start(context.Background(), admin, "default", "web", service.StartInput{}) })
	}
	group.Wait()
	counts := make(map[pipeline.Status]int)
	numbers := make(map[int64]bool)
	all, err := l.List(t.Context(), admin, "default", service.ExecutionQuery{Pipeline: "web"})
	require.NoError(t, err)
	for i := range n {
		require.NoError(t, errs[i])
		counts[all[i].Status]++
		numbers[all[i].Number] = true
	}
	require.Len(t, numbers, n)
	require.Equal(t, map[pipeline.Status]int{pipeline.InProgress: 2, pipeline.StatusSuperseded: n - 2}, counts)
	queued, running := l.attempts()
	require.Equal(t, 1, queued+running, "one is in the stage, the newest waits, all others gave way")
}

func TestList(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Parallel, []string{"a"}))
	l.pipeline("api", stages(pipeline.Parallel, []string{"a"}))
	var ids []string
	for i := range 6 {
		ids = append(ids, l.start([]string{"web", "api"}[i%2]).ID)
	}
	_, err := l.Stop(t.Context(), admin, "default", ids[2], true, "")
	require.NoError(t, err)
	list := func(account, name string, statuses []pipeline.Status, before string, size int) (found []string) {
		all, err := l.List(t.Context(), admin, account, service.ExecutionQuery{Pipeline: name, Statuses: statuses, Before: before, Size: size})
		require.NoError(t, err)
		for _, e := range all {
			found = append(found, e.ID)
		}
		return found
	}
	require.Equal(t, []string{ids[5], ids[4], ids[3]}, list("default", "", nil, "", 3))
	require.Equal(t, []string{ids[2], ids[1], ids[0]}, list("default", "", nil, ids[3], 5))
	require.Equal(t, []string{ids[4], ids[2], ids[0]}, list("default", "web", nil, "", 5))
	require.Equal(t, []string{ids[2]}, list("default", "web", []pipeline.Status{pipeline.Stopped, pipeline.Failed}, "", 5))
	require.Empty(t, list("other", "", nil, "", 5))
	_, err = l.List(t.Context(), admin, "other", service.ExecutionQuery{Pipeline: "web", Size: 5})
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
}

// Each call asks for its own right, in the account that it is about, before it
// says anything of what is there.
func TestCallsAreAuthorized(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign"}))
	e := l.start("web")
	calls := map[string]func(auth.Identity, string) error{
		"start": func(who auth.Identity, id string) error {
			_, err := l.Start(t.Context(), who, "default", id, service.StartInput{})
			return err
		},
		"get": func(who auth.Identity, id string) error { _, err := l.Get(t.Context(), who, "default", id); return err },
		"list": func(who auth.Identity, _ string) error {
			_, err := l.List(t.Context(), who, "default", service.ExecutionQuery{Size: 5})
			return err
		},
		"stop": func(who auth.Identity, id string) error {
			_, err := l.Stop(t.Context(), who, "default", id, false, "")
			return err
		},
		"decide": func(who auth.Identity, id string) error {
			_, err := l.Decide(t.Context(), who, "default", id, service.Decision{Approve: true})
			return err
		},
		"retry": func(who auth.Identity, id string) error {
			_, err := l.Retry(t.Context(), who, "default", id, service.RetryInput{})
			return err
		},
		"override": func(who auth.Identity, id string) error {
			_, err := l.Override(t.Context(), who, "default", id, service.OverrideInput{Stage: "S0", Condition: pipeline.ConditionBeforeEntry})
			return err
		},
		"rollback": func(who auth.Identity, id string) error {
			_, err := l.Rollback(t.Context(), who, "default", "web", service.RollbackInput{Stage: "S0", TargetID: id})
			return err
		},
		"transition": func(who auth.Identity, name string) error {
			_, err := l.SetTransition(t.Context(), who, "default", name, service.TransitionInput{Stage: "S0", Enabled: true})
			return err
		},
		"state": func(who auth.Identity, name string) error {
			_, err := l.State(t.Context(), who, "default", name)
			return err
		},
		"explain": func(who auth.Identity, id string) error {
			_, err := l.Explain(t.Context(), who, "default", id)
			return err
		},
		"watch": func(who auth.Identity, id string) error {
			return l.Watch(t.Context(), who, "default", id, 0, func(execution.Event) error { return errDisk })
		},
		"tail": func(who auth.Identity, id string) error {
			return l.TailLog(t.Context(), who, "default", id, e.Stages[0].Actions[0].ID, service.LogTail{}, func(int64, []byte) error { return nil })
		},
		"stat log": func(who auth.Identity, id string) error {
			_, _, err := l.StatLog(t.Context(), who, "default", id, e.Stages[0].Actions[0].ID)
			return err
		},
		"read log": func(who auth.Identity, id string) error {
			_, err := l.ReadLog(t.Context(), who, "default", id, e.Stages[0].Actions[0].ID, service.LogRead{Bytes: 10})
			return err
		},
	}
	may := map[auth.Role][]string{
		auth.Viewer:   {"get", "list", "state", "explain", "watch", "tail", "stat log", "read log"},
		auth.Approver: {"get", "list", "state", "explain", "watch", "tail", "stat log", "read log", "decide"},
		auth.Deployer: {
			"get", "list", "state", "explain", "watch", "tail", "stat log", "read log",
			"start", "stop", "retry", "override", "rollback", "transition",
		},
		auth.Runner: {},
	}
	for role, allowed := range may {
		for name, call := range calls {
			for _, id := range []string{e.ID, "unknown"} {
				err := call(identity(role, "other"), id)
				requireRefused(t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
				err = call(identity(role, "default"), "unknown")
				var refused *service.Error
				denied := errors.As(err, &refused) && refused.Kind == service.KindDenied
				require.Equal(t, !slices.Contains(allowed, name), denied, "%s may %s: %v", role, name, err)
			}
		}
	}
	// What is of another account does not exist, whatever its id.
	stranger := identity(auth.Admin, "other")
	_, err := l.Get(t.Context(), stranger, "other", e.ID)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	_, err = l.Stop(t.Context(), stranger, "other", e.ID, true, "")
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	_, err = l.Decide(t.Context(), stranger, "other", e.ID, service.Decision{Approve: true})
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	_, err = l.Explain(t.Context(), stranger, "other", e.ID)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	requireRefused(t, l.Watch(t.Context(), stranger, "other", e.ID, 0, nil), service.KindNotFound, pipeline.ReasonNotFound)
	requireRefused(t, l.TailLog(t.Context(), stranger, "other", e.ID, e.Stages[0].Actions[0].ID, service.LogTail{}, nil), service.KindNotFound, pipeline.ReasonNotFound)
	_, _, err = l.StatLog(t.Context(), stranger, "other", e.ID, e.Stages[0].Actions[0].ID)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	_, err = l.ReadLog(t.Context(), stranger, "other", e.ID, e.Stages[0].Actions[0].ID, service.LogRead{Lines: 1})
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
	require.Equal(t, pipeline.InProgress, l.get(e.ID).Status)
}

// TestTextsThatCannotBeShown holds that what people write to others cannot command
// the terminals of those.
func TestTextsThatCannotBeShown(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign", "~noop"}))
	e := l.start("web")
	for _, bad := range []string{"\x1b]0;x\a", "a\u202eb", "a\u009bb"} {
		_, stop := l.Stop(t.Context(), admin, "default", e.ID, false, bad)
		_, override := l.Override(t.Context(), admin, "default", e.ID, service.OverrideInput{
			Stage: "S1", Condition: pipeline.ConditionBeforeEntry, Reason: bad,
		})
		_, decide := l.Decide(t.Context(), admin, "default", e.ID, service.Decision{Approve: true, Comment: bad})
		for _, err := range []error{stop, override, decide} {
			requireRefused(t, err, service.KindInvalid, "")
			require.ErrorContains(t, err, "cannot be shown")
		}
	}
	_, err := l.Stop(t.Context(), admin, "default", e.ID, false, "two\nlines")
	require.ErrorContains(t, err, "one line")
	_, err = l.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true, Comment: "two\r\n\tlines"})
	if err != nil {
		// The approval may not be open yet.
		requireRefused(t, err, service.KindPrecondition, pipeline.ReasonApprovalNotFound)
	}
}

func TestDecide(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign", "~noop"}))
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateApprovalRule(ctx, approval.Rule{
			Account: "default", Name: "two", Pipelines: []string{"w*"}, Revision: 1,
			Requirement: execution.Requirement{MinimumCount: 2, Groups: []string{"ops"}, RequireComment: true},
		})
	}))
	e := l.start("web")
	decide := func(name string, groups []string, comment string) (engine.Wait, error) {
		who := identity(auth.Approver, "default")
		who.Principal, who.Groups = name, groups
		return l.Decide(t.Context(), who, "default", e.ID, service.Decision{Approve: true, Comment: comment})
	}
	ops := []string{"dev", "ops"}
	_, err := decide("bob", nil, "fine")
	requireRefused(t, err, service.KindDenied, pipeline.ReasonApprovalNotEligible)
	_, err = decide("admin", ops, "fine")
	requireRefused(t, err, service.KindDenied, pipeline.ReasonApprovalNotEligible)
	_, err = decide("bob", ops, "")
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonCommentRequired)
	decided, err := decide("bob", ops, "fine")
	require.NoError(t, err)
	require.Equal(t, "S0", decided.Stage.Name)
	require.Equal(t, "sign", decided.Action.Name)
	require.Len(t, decided.Approval().Decisions, 1)
	require.Equal(t, pipeline.InProgress, decided.Execution.Status)
	_, err = decide("bob", ops, "fine")
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonAlreadyDecided)

	explained, err := l.Explain(t.Context(), admin, "default", e.ID)
	require.NoError(t, err)
	require.Equal(t, engine.WaitApproval, explained.Reasons[0].Kind)
	require.Contains(t, explained.Reasons[0].Message, "rule two: 1 more of group ops")

	_, err = decide("cy", ops, "fine")
	require.NoError(t, err)
	l.becomes(e.ID, pipeline.Succeeded)
	_, err = decide("dora", ops, "fine")
	requireRefused(t, err, service.KindPrecondition, pipeline.ReasonApprovalNotFound)
	explained, err = l.Explain(t.Context(), admin, "default", e.ID)
	require.NoError(t, err)
	require.Empty(t, explained.Reasons)
	require.Equal(t, pipeline.Succeeded, explained.Status)
}

// An ended execution refuses in every mode; its scope is gone from the store in
// PARALLEL mode.
func TestEndedExecutionRefuses(t *testing.T) {
	t.Parallel()
	for _, mode := range []pipeline.ExecutionMode{pipeline.Superseded, pipeline.Queued, pipeline.Parallel} {
		l := newLab(t)
		l.pipeline("web", stages(mode, []string{"~noop"}))
		e := l.start("web")
		l.becomes(e.ID, pipeline.Succeeded)
		_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
		requireRefused(t, err, service.KindPrecondition, pipeline.ReasonNotStoppable)
		_, err = l.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true})
		requireRefused(t, err, service.KindPrecondition, pipeline.ReasonApprovalNotFound)
	}
}

func TestDeletePipelineWithLiveExecutions(t *testing.T) {
	t.Parallel()
	for _, mode := range []pipeline.ExecutionMode{pipeline.Queued, pipeline.Parallel} {
		l := newLab(t)
		l.pipeline("web", stages(mode, []string{"a"}, []string{"b"}))
		first := l.start("web")
		held := l.acquire("r1")
		_, err := l.logs.Writer(&held.Attempt).Write([]byte("hello\n"))
		require.NoError(t, err)
		for range 4 {
			l.start("web")
		}
		queued, running := l.attempts()
		_, err = l.definitions.Delete(t.Context(), admin, "default", "web", "", false)
		requireRefused(t, err, service.KindPrecondition, pipeline.ReasonExecutionLive)
		require.ErrorContains(t, err, "5 executions in progress")
		require.ErrorContains(t, err, first.ID)
		require.False(t, revoked(held))
		stillQueued, stillRunning := l.attempts()
		require.Equal(t, []int{queued, running}, []int{stillQueued, stillRunning})

		// Runners that wait get nothing of what is abandoned: an execution in the
		// queue must not start because the one before it is stopped.
		waiting, cancel := context.WithCancel(t.Context())
		got := make(chan error, 1)
		if mode == pipeline.Queued {
			go func() { _, err := l.Acquire(waiting, "r2"); got <- err }()
		}
		_, err = l.definitions.Delete(t.Context(), admin, "default", "web", "", true)
		require.NoError(t, err)
		cancel()
		if mode == pipeline.Queued {
			require.ErrorIs(t, <-got, context.Canceled)
		}
		require.True(t, revoked(held))
		require.Nil(t, l.report("r1", held, action.Result{}))
		_, err = l.Get(t.Context(), admin, "default", first.ID)
		requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
		require.Empty(t, l.turns())
		queued, running = l.attempts()
		require.Equal(t, []int{0, 0}, []int{queued, running})
		l.pipeline("web", stages(mode, []string{"~noop"}))
		l.becomes(l.start("web").ID, pipeline.Succeeded)
	}
}

func TestDeletePipelineOnlyAsItWasRead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	stored := func() service.PipelineView { return service.PipelineView{Pipeline: l.stored("web")} }
	read := stored()
	changed := read.Pipeline
	changed.Definition.Description = "changed"
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.UpdatePipeline(ctx, changed) }))
	remove := func(etag string) error {
		_, err := l.definitions.Delete(t.Context(), admin, "default", "web", etag, true)
		return err
	}
	requireRefused(t, remove(read.Etag()), service.KindConflict, pipeline.ReasonEtagMismatch)
	now := stored()
	require.NoError(t, remove(now.Etag()))
	requireRefused(t, remove(now.Etag()), service.KindNotFound, pipeline.ReasonNotFound)
}

func TestWatchResumesAndEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}, []string{"?sign"}, []string{"~noop", "~more"}))
	e := l.start("web")
	type got struct {
		events []execution.Event
		err    error
	}
	watch := func(after int64) chan got {
		done := make(chan got, 1)
		go func() {
			var g got
			g.err = l.Watch(context.Background(), admin, "default", e.ID, after, func(ev execution.Event) error {
				g.events = append(g.events, ev)
				return nil
			})
			done <- g
		}()
		return done
	}
	early := watch(0)
	_, err := l.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true})
	for err != nil {
		requireRefused(t, err, service.KindPrecondition, pipeline.ReasonApprovalNotFound)
		_, err = l.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true})
	}
	all := <-early
	require.NoError(t, all.err)
	last := all.events[len(all.events)-1]
	require.Equal(t, execution.SubjectExecution, last.Subject)
	require.Equal(t, execution.EventSucceeded, last.State)
	for _, i := range []int{0, 3, len(all.events) - 1} {
		rest := <-watch(all.events[i].Position)
		require.NoError(t, rest.err)
		require.Equal(t, all.events[i+1:], append([]execution.Event{}, rest.events...))
	}
}

func TestWatchOfManyEvents(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", *chainOf(10, 12))
	e := l.start("web")
	n := 0
	require.NoError(t, l.Watch(t.Context(), admin, "default", e.ID, 0, func(execution.Event) error { n++; return nil }))
	require.Equal(t, 2+10*2+10*12*2, n)
	again := 0
	require.NoError(t, l.Watch(t.Context(), admin, "default", e.ID, 0, func(execution.Event) error { again++; return nil }))
	require.Equal(t, n, again, "all of one that has ended, not a first part")
}

func chainOf(stages, actions int) *pipeline.Definition {
	def := chain(stages, actions)
	return &def
}

func TestStreamsEndWithTheServerAndTheCaller(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 3)
	seen := make(chan struct{}, 100)
	go func() {
		ended <- l.Watch(ctx, admin, "default", e.ID, 0, func(execution.Event) error { seen <- struct{}{}; return nil })
	}()
	<-seen
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	go func() {
		ended <- l.Watch(context.Background(), admin, "default", e.ID, 0, func(execution.Event) error { return nil })
	}()
	go func() {
		ended <- l.TailLog(context.Background(), admin, "default", e.ID, e.Stages[0].Actions[0].ID, service.LogTail{Follow: true}, func(int64, []byte) error { return nil })
	}()
	l.EndStreams()
	require.ErrorIs(t, <-ended, service.ErrStopping)
	require.ErrorIs(t, <-ended, service.ErrStopping)
	require.ErrorIs(t, l.Watch(t.Context(), admin, "default", e.ID, 0, func(execution.Event) error { return errDisk }), errDisk)
}

func TestTailLogFollowsToTheEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	id := e.Stages[0].Actions[0].ID
	var mu sync.Mutex
	var text string
	read := func() string { mu.Lock(); defer mu.Unlock(); return text }
	done := make(chan error, 1)
	go func() {
		done <- l.TailLog(context.Background(), admin, "default", e.ID, id, service.LogTail{Follow: true}, func(offset int64, data []byte) error {
			mu.Lock()
			defer mu.Unlock()
			if int(offset) != len(text) {
				return fmt.Errorf("offset %d after %d bytes", offset, len(text))
			}
			text += string(data)
			return nil
		})
	}()
	a := l.acquire("r1")
	log := l.logs.Writer(&a.Attempt)
	for _, line := range []string{"one\n", "two\n"} {
		_, err := log.Write([]byte(line))
		require.NoError(t, err)
		require.Eventually(t, func() bool { return len(read()) > 0 && read()[len(read())-len(line):] == line }, 10*time.Second, time.Millisecond)
	}
	_, err := log.Write([]byte("last\n"))
	require.NoError(t, err)
	require.NoError(t, log.Close())
	l.report("r1", a, action.Result{})
	require.NoError(t, <-done, "it ends when the action ended")
	require.Equal(t, "one\ntwo\nlast\n", read())

	tail := func(offset int64, follow bool) string {
		out := ""
		require.NoError(t, l.TailLog(t.Context(), admin, "default", e.ID, id, service.LogTail{Offset: offset, Follow: follow}, func(_ int64, data []byte) error { out += string(data); return nil }))
		return out
	}
	require.Equal(t, "one\ntwo\nlast\n", tail(0, false))
	require.Equal(t, "last\n", tail(-5, true))
	require.Equal(t, "one\ntwo\nlast\n", tail(-500, true))
	require.Empty(t, tail(500, true))
	err = l.TailLog(t.Context(), admin, "default", e.ID, "unknown", service.LogTail{Follow: true}, nil)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)
}

// What was written just before the end belongs to the log, however late somebody
// asks whether it has ended.
func TestTailLogReadsWhatCameJustBeforeTheEnd(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"a"}))
	e := l.start("web")
	a := l.acquire("r1")
	log := l.logs.Writer(&a.Attempt)
	_, err := log.Write([]byte("one\n"))
	require.NoError(t, err)
	type tailKey struct{}
	armed := make(chan struct{})
	done := make(chan error, 1)
	var text string
	go func() {
		ctx := context.WithValue(context.Background(), tailKey{}, true)
		done <- l.TailLog(ctx, admin, "default", e.ID, e.Stages[0].Actions[0].ID, service.LogTail{Follow: true}, func(_ int64, data []byte) error {
			text += string(data)
			if text != "one\n" {
				return nil
			}
			// From now on the end comes with the next look at the action.
			before := sync.OnceValue(func() error {
				if _, err := log.Write([]byte("last\n")); err != nil {
					return err
				}
				if err := log.Close(); err != nil {
					return err
				}
				_, err := l.Report(context.Background(), "r1", a.Attempt, action.Result{})
				return err
			})
			hook := func(ctx context.Context) error {
				if ctx.Value(tailKey{}) == nil {
					return nil
				}
				return before()
			}
			l.store.viewing.Store(&hook)
			close(armed)
			return nil
		})
	}()
	<-armed
	// Something happens, so that it looks.
	_, err = l.Stop(t.Context(), admin, "default", e.ID, false, "")
	require.NoError(t, err)
	require.NoError(t, <-done)
	require.Equal(t, "one\nlast\n", text)
}
