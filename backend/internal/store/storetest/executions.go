package storetest

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func executionByID(id string) func(context.Context, store.Reader) (*execution.Execution, error) {
	return func(ctx context.Context, r store.Reader) (*execution.Execution, error) { return r.Execution(ctx, id) }
}

func leaseOf(id string) func(context.Context, store.Reader) (*execution.Lease, error) {
	return func(ctx context.Context, r store.Reader) (*execution.Lease, error) { return r.Lease(ctx, id) }
}

// leases returns the attempts of action executions, which must be all that there are.
func (s *suite) leases(ids ...string) []*execution.Lease {
	s.t.Helper()
	found := s.leasesOf(ids...)
	all := get(s, func(ctx context.Context, r store.Reader) (int, error) {
		ready, held, err := r.CountAttempts(ctx)
		return ready + held, err
	})
	require.Len(s.t, found, all)
	return found
}

func (s *suite) leasesOf(ids ...string) []*execution.Lease {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) ([]*execution.Lease, error) { return r.LeasesOf(ctx, ids) })
}

// leasesInOrder returns the attempts of action executions in the order of these.
func (s *suite) leasesInOrder(ids ...string) (leases []*execution.Lease) {
	s.t.Helper()
	for _, id := range ids {
		leases = append(leases, get(s, leaseOf(id)))
	}
	return leases
}

func (s *suite) heldLeases() []*execution.Lease {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) ([]*execution.Lease, error) { return r.HeldLeases(ctx) })
}

func (s *suite) turns() []*execution.Turn {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) ([]*execution.Turn, error) { return r.Turns(ctx) })
}

func (s *suite) events(id string, after int64, size int) []execution.Event {
	s.t.Helper()
	return get(s, func(ctx context.Context, r store.Reader) ([]execution.Event, error) {
		return r.Events(ctx, id, after, size)
	})
}

// run is a live execution with every field of every row set, and its work.
func run(id string, number int64) *execution.Change {
	e := filled[execution.Execution]()
	e.ID, e.Account, e.PipelineID, e.Number = id, "a", "p", number
	e.Mode, e.Status = pipeline.Superseded, pipeline.InProgress
	change := &execution.Change{Started: []*execution.Execution{&e}}
	for i, stage := range e.Stages {
		stage.Position, stage.Status = i, pipeline.InProgress
		change.NewStages = append(change.NewStages, execution.StageOf{ExecutionID: id, Stage: stage})
		for j, a := range stage.Actions {
			a.ID, a.Stage, a.RunOrder, a.Status = fmt.Sprintf("%s-%d-%d", id, i, j), i, j+1, pipeline.InProgress
			change.NewActions = append(change.NewActions, execution.ActionOf{ExecutionID: id, Action: a})
		}
	}
	lease := filled[execution.Lease]()
	lease.Attempt.ExecutionID, lease.Attempt.ActionExecutionID = id, id+"-0-0"
	lease.Scope = execution.ScopeKey{PipelineID: "p"}
	change.Leases = []*execution.Lease{&lease}
	turn := filled[execution.Turn]()
	turn.ID, turn.ExecutionID, turn.Scope = id+"-0-1", id, execution.ScopeKey{PipelineID: "p"}
	change.Turns = []*execution.Turn{&turn, {ID: id + "/1", Kind: execution.TurnExpire, ExecutionID: id, Scope: turn.Scope, DueAt: day()}}
	event := filled[execution.Event]()
	event.ExecutionID = id
	change.Events = []execution.Event{event, {ExecutionID: id, At: day(), Subject: execution.SubjectStage}}
	return change
}

// running makes account, pipeline and the execution e1.
func (s *suite) running() *execution.Change {
	s.t.Helper()
	s.account("a")
	s.pipeline("p")
	change := run("e1", 1)
	s.apply(change)
	return change
}

func testChangeIsReadBack(s *suite) {
	t := s.t
	c := s.running()
	require.Equal(t, c.Started[0], get(s, executionByID("e1")))
	head := *c.Started[0]
	head.Stages = nil
	require.Equal(t, &head, get(s, func(ctx context.Context, r store.Reader) (*execution.Execution, error) {
		return r.ExecutionHead(ctx, "e1")
	}))
	require.Equal(t, c.Leases, s.leases("e1-0-0"))
	require.Equal(t, c.Leases[0], get(s, leaseOf("e1-0-0")))
	require.Equal(t, []*execution.Turn{c.Turns[1], c.Turns[0]}, s.turns(), "by due time")
	events := s.events("e1", 0, 10)
	require.Len(t, events, 2)
	require.Greater(t, events[1].Position, events[0].Position)
	for i := range events {
		want := c.Events[i]
		want.Position = events[i].Position
		require.Equal(t, want, events[i])
	}
	require.Equal(t, pipeline.InProgress, get(s, func(ctx context.Context, r store.Reader) (pipeline.Status, error) {
		return r.ActionStatus(ctx, "e1", "e1-1-0")
	}))
	missing(s, func(ctx context.Context, r store.Reader) (pipeline.Status, error) {
		return r.ActionStatus(ctx, "e2", "e1-1-0")
	})
	// What a decision starts from is the same.
	live := get(s, func(ctx context.Context, r store.Reader) ([]*execution.Execution, error) {
		scope, err := r.LiveScope(ctx, execution.ScopeKey{PipelineID: "p"})
		return scope.Live, err
	})
	require.Equal(t, c.Started, live)
}

func testChangeOfLiveRowsIsReadBack(s *suite) {
	t := s.t
	e := s.running().Started[0]
	// All that may change of a row that exists.
	other := filledFrom[execution.Execution](1000)
	e.Status, e.Summary, e.Revisions, e.Stop = pipeline.Succeeded, "new summary", nil, nil
	e.Trigger, e.Variables = other.Trigger, other.Variables
	e.Attempt, e.Overrides, e.Rollback, e.Cancel = 3, nil, other.Rollback, nil
	e.UpdatedAt, e.EndedAt = day().Add(time.Hour), day().Add(2*time.Hour)
	stage := e.Stages[1]
	stage.Status, stage.StartedAt, stage.EndedAt = pipeline.Failed, day().Add(3*time.Hour), day().Add(4*time.Hour)
	stage.Entry = nil
	stage.StageDetails = execution.StageDetails{}
	e.Stages[0].Entry, e.Stages[0].StageDetails = other.Stages[1].Entry, other.Stages[1].StageDetails
	a := stage.Actions[0]
	a.Retried = false
	a.Attempt, a.Status, a.EndedAt, a.Details = 77, pipeline.Abandoned, day().Add(5*time.Hour), other.Stages[0].Actions[1].Details
	s.apply(&execution.Change{
		Updated: []*execution.Execution{e},
		Stages:  []execution.StageOf{{ExecutionID: "e1", Stage: stage}, {ExecutionID: "e1", Stage: e.Stages[0]}},
		Actions: []execution.ActionOf{{ExecutionID: "e1", Action: a}},
	})
	require.Equal(t, e, get(s, executionByID("e1")))
}

// Done goes before new, so that a new attempt can take the place of the old one.
func testChangeReplacesWork(s *suite) {
	t := s.t
	c := s.running()
	next := *c.Leases[0]
	next.Attempt.Number, next.Runner, next.Until = 2, "", time.Time{}
	again := *c.Turns[0]
	again.DueAt, again.Work = day().Add(-time.Hour), &action.Turn{State: []byte("page 2")}
	s.apply(&execution.Change{DoneAttempts: []string{"e1-0-0", "unknown"}, Leases: []*execution.Lease{&next}, Turns: []*execution.Turn{&again}})
	require.Equal(t, []*execution.Lease{&next}, s.leases("e1-0-0"))
	require.Equal(t, []*execution.Turn{&again, c.Turns[1]}, s.turns(), "a turn takes the place of the one of its id")
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.Apply(ctx, &execution.Change{Leases: []*execution.Lease{&next}})
	}), store.ErrAlreadyExists, "one attempt of an action at a time")

	s.apply(&execution.Change{DoneAttempts: []string{"e1-0-0"}, DoneTurns: []string{"e1-0-1", "e1/1", "unknown"}})
	require.Empty(t, s.leases())
	require.Empty(t, s.turns())
	s.apply(&execution.Change{})
}

func testManyEvents(s *suite) {
	t := s.t
	s.running()
	s.apply(run("e2", 2))
	for n := range 30 {
		change := &execution.Change{}
		for i := range n {
			id := "e1"
			if i%5 == 4 {
				id = "e2"
			}
			change.Events = append(change.Events, execution.Event{ExecutionID: id, At: day(), ExecutionAttempt: n + 1, Message: fmt.Sprintf("%d/%d", n, i)})
		}
		s.apply(change)
	}
	all := s.events("e1", 0, 0)
	require.Len(t, all, 2+29*30/2-len(s.events("e2", 0, 0))+2)
	for i := 3; i < len(all); i++ {
		var n1, i1, n2, i2 int
		_, err := fmt.Sscanf(all[i-1].Message+" "+all[i].Message, "%d/%d %d/%d", &n1, &i1, &n2, &i2)
		require.NoError(t, err)
		require.True(t, n1 < n2 || (n1 == n2 && i1 < i2), "in the order of the commits: %s before %s", all[i-1].Message, all[i].Message)
		require.Equal(t, n2+1, all[i].ExecutionAttempt)
		require.Greater(t, all[i].Position, all[i-1].Position)
	}
	require.Equal(t, all[10:17], s.events("e1", all[9].Position, 7))
	require.Empty(t, s.events("e1", all[len(all)-1].Position, 7))
	require.Empty(t, s.events("unknown", 0, 7))
}

func testExecutionsAreListed(s *suite) {
	t := s.t
	s.account("a")
	s.account("b")
	s.pipeline("p")
	s.pipeline("q")
	statuses := []pipeline.Status{pipeline.InProgress, pipeline.Succeeded, pipeline.Failed}
	change := &execution.Change{}
	for i := range 9 {
		e := &execution.Execution{
			ID: fmt.Sprintf("e%d", i), Account: "a", PipelineID: "p", Number: int64(i), Status: statuses[i%3],
			StartedAt: day().Add(time.Duration(i) * time.Minute), Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: "ann"},
		}
		switch i {
		case 7:
			e.PipelineID = "q"
		case 8:
			e.PipelineID, e.Account = "q", "b"
		}
		change.Started = append(change.Started, e)
	}
	s.apply(change)
	list := func(filter store.ExecutionFilter) (ids []string) {
		for _, e := range get(s, func(ctx context.Context, r store.Reader) ([]*execution.Execution, error) {
			return r.Executions(ctx, filter)
		}) {
			require.Empty(t, e.Stages)
			ids = append(ids, e.ID)
		}
		return ids
	}
	require.Equal(t, []string{"e7", "e6", "e5"}, list(store.ExecutionFilter{Account: "a", Size: 3}), "newest first")
	require.Equal(t, []string{"e4", "e3"}, list(store.ExecutionFilter{Account: "a", Size: 2, Before: "e5"}))
	require.Equal(t, []string{"e6", "e5"}, list(store.ExecutionFilter{Account: "a", PipelineID: "p", Size: 2}))
	require.Equal(t, []string{"e5", "e4", "e2", "e1"},
		list(store.ExecutionFilter{Account: "a", PipelineID: "p", Statuses: []pipeline.Status{pipeline.Failed, pipeline.Succeeded}}))
	require.Equal(t, []string{"e2"},
		list(store.ExecutionFilter{Account: "a", Statuses: []pipeline.Status{pipeline.Failed}, Before: "e5", Size: 1}))
	require.Equal(t, []string{"e8"}, list(store.ExecutionFilter{Account: "b", Size: 5}))
	require.Empty(t, list(store.ExecutionFilter{Account: "a", Statuses: []pipeline.Status{pipeline.Stopped}}))
	require.Empty(t, list(store.ExecutionFilter{Account: "a", Before: "e0"}))
	require.Equal(t, []string{"e4", "e3"}, list(store.ExecutionFilter{Account: "a", From: day().Add(3 * time.Minute), To: day().Add(5 * time.Minute)}))
	require.Equal(t, []string{"e4"}, list(store.ExecutionFilter{Account: "a", PipelineID: "p", Number: 4, Size: 2}))
	require.Empty(t, list(store.ExecutionFilter{Account: "a", PipelineID: "q", Number: 4}))
}

// testExecutionsAreListedByTheirDocuments holds that nothing but what a filter asks for is
// found, whatever texts other fields hold.
func testExecutionsAreListedByTheirDocuments(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	hostile := `a%_\"<b>` + "\u202e"
	change := &execution.Change{}
	for i, e := range []execution.Execution{
		{Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: "ann"}, Stop: &execution.Stop{Principal: "bob"}},
		{Trigger: execution.Trigger{Type: execution.TriggerWebhook, Principal: "bob", To: "abcdef12"}},
		{Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: hostile}, Revisions: []execution.SourceRevision{
			{Action: "Fetch", Revision: action.Revision{ID: "12345678", Summary: `"id":"abcdef"`}}, {Action: "More", Revision: action.Revision{ID: "ABCDEF12"}},
		}},
		{Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: "annie"}, Variables: map[string]string{"principal": "ann", "to": "abcdef", "id": "abcdef"}},
	} {
		e.ID, e.Account, e.PipelineID, e.Number, e.StartedAt = fmt.Sprintf("e%d", i), "a", "p", int64(i), day()
		change.Started = append(change.Started, &e)
	}
	s.apply(change)
	list := func(filter store.ExecutionFilter) (ids []string) {
		filter.Account = "a"
		for _, e := range get(s, func(ctx context.Context, r store.Reader) ([]*execution.Execution, error) {
			return r.Executions(ctx, filter)
		}) {
			ids = append(ids, e.ID)
		}
		return ids
	}
	for _, size := range []int{0, 1} {
		require.Equal(t, []string{"e0"}, list(store.ExecutionFilter{Principal: "ann", Size: size}))
		require.Equal(t, []string{"e1"}, list(store.ExecutionFilter{Principal: "bob", Size: size}), "who stopped another did not start it")
		require.Equal(t, []string{"e2"}, list(store.ExecutionFilter{Principal: hostile, Size: size}))
		require.Empty(t, list(store.ExecutionFilter{Principal: "%", Size: size}))
		require.Equal(t, []string{"e1"}, list(store.ExecutionFilter{Revision: "abcd", Size: size}))
		require.Equal(t, []string{"e2"}, list(store.ExecutionFilter{Revision: "ABCD", Size: size}))
		require.Equal(t, []string{"e2"}, list(store.ExecutionFilter{Revision: "1234", Size: size}))
		require.Empty(t, list(store.ExecutionFilter{Revision: "2345", Size: size}))
		require.Equal(t, []string{"e1"}, list(store.ExecutionFilter{Triggers: []execution.TriggerType{execution.TriggerWebhook, execution.TriggerPoll}, Size: size}))
	}
	require.Equal(t, []string{"e3", "e2", "e0"}, list(store.ExecutionFilter{Triggers: []execution.TriggerType{execution.TriggerStart}}))
}

func testLiveScopes(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	s.pipeline("q")
	change := &execution.Change{}
	for i, e := range []execution.Execution{
		{Status: pipeline.Stopping, Mode: pipeline.Queued},
		{Status: pipeline.InProgress, Mode: pipeline.Superseded},
		{Status: pipeline.Succeeded, Mode: pipeline.Superseded},
		{Status: pipeline.InProgress, Mode: pipeline.Parallel},
		{Status: pipeline.Failed, Mode: pipeline.Parallel},
		{Status: pipeline.InProgress, Mode: pipeline.Superseded, PipelineID: "q"},
	} {
		e.ID, e.Account, e.Number = fmt.Sprintf("e%d", i), "a", int64(100-i)
		if e.PipelineID == "" {
			e.PipelineID = "p"
		}
		change.Started = append(change.Started, &e)
	}
	s.apply(change)
	ids := func(all []*execution.Execution) (ids []string) {
		for _, e := range all {
			ids = append(ids, e.ID)
		}
		return ids
	}
	live := func(key execution.ScopeKey) []string {
		return ids(get(s, func(ctx context.Context, r store.Reader) ([]*execution.Execution, error) {
			scope, err := r.LiveScope(ctx, key)
			return scope.Live, err
		}))
	}
	require.Equal(t, []string{"e1", "e0"}, live(execution.ScopeKey{PipelineID: "p"}), "by number, without PARALLEL ones")
	require.Equal(t, []string{"e3"}, live(execution.ScopeKey{PipelineID: "p", ExecutionID: "e3"}))
	require.Equal(t, []string{"e5"}, live(execution.ScopeKey{PipelineID: "q"}))
	for _, key := range []execution.ScopeKey{{PipelineID: "unknown"}, {PipelineID: "p", ExecutionID: "unknown"}, {PipelineID: "p", ExecutionID: "e4"}} {
		missing(s, func(ctx context.Context, r store.Reader) (int64, error) {
			scope, err := r.LiveScope(ctx, key)
			return scope.Revision, err
		})
	}
	require.Equal(t, []string{"e3", "e1", "e0"}, ids(get(s, func(ctx context.Context, r store.Reader) ([]*execution.Execution, error) {
		return r.LiveExecutions(ctx, "p")
	})), "in every scope")
	for pipelineID, want := range map[string]int{"p": 3, "q": 1, "unknown": 0} {
		require.Equal(t, want, get(s, func(ctx context.Context, r store.Reader) (int, error) { return r.CountLiveOf(ctx, pipelineID) }))
	}
}

func testClaimScopeIsCompareAndSet(s *suite) {
	t := s.t
	s.running()
	parallel := run("e2", 2)
	parallel.Started[0].Mode = pipeline.Parallel
	s.apply(parallel)
	for _, key := range []execution.ScopeKey{{PipelineID: "p"}, {PipelineID: "p", ExecutionID: "e2"}} {
		revision := func() int64 {
			return get(s, func(ctx context.Context, r store.Reader) (int64, error) {
				scope, err := r.LiveScope(ctx, key)
				return scope.Revision, err
			})
		}
		claim := func(revision int64) error {
			return s.try(func(ctx context.Context, tx store.Tx) error { return tx.ClaimScope(ctx, key, revision, revision+1) })
		}
		first := revision()
		require.NoError(t, claim(first))
		require.Equal(t, first+1, revision())
		require.ErrorIs(t, claim(first), store.ErrStale)
		require.ErrorIs(t, claim(first+2), store.ErrStale)
		require.NoError(t, claim(first+1))
	}
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.ClaimScope(ctx, execution.ScopeKey{PipelineID: "unknown"}, 0, 1)
	}), store.ErrStale)
	// The scope of a PARALLEL execution goes with it; that of the others stays.
	ended := *parallel.Started[0]
	ended.Status = pipeline.Succeeded
	s.apply(&execution.Change{Updated: []*execution.Execution{&ended}})
	for key, left := range map[execution.ScopeKey]bool{{PipelineID: "p", ExecutionID: "e2"}: false, {PipelineID: "p"}: true} {
		claimed := false
		for revision := range int64(10) {
			err := s.try(func(ctx context.Context, tx store.Tx) error { return tx.ClaimScope(ctx, key, revision, revision+1) })
			claimed = claimed || err == nil
		}
		require.Equal(t, left, claimed, "%v", key)
	}
}

func testLeases(s *suite) {
	t := s.t
	s.running()
	change := &execution.Change{DoneAttempts: []string{"e1-0-0"}}
	for i, id := range []string{"z", "y", "x"} {
		lease := &execution.Lease{Scope: execution.ScopeKey{PipelineID: "p", ExecutionID: "e1"}, QueuedAt: day().Add(time.Duration(i/2) * time.Second)}
		lease.Attempt.ExecutionID, lease.Attempt.ActionExecutionID, lease.Attempt.Number = "e1", id, 3
		change.Leases = append(change.Leases, lease)
	}
	s.apply(change)
	require.ElementsMatch(t, change.Leases, s.leases("x", "y", "z"))
	more := false
	take := func(runner string) (id string, err error) {
		err = s.try(func(ctx context.Context, tx store.Tx) (err error) {
			var lease *execution.Lease
			lease, more, err = tx.AcquireLease(ctx, store.LeaseRequest{Runner: runner, Until: day()})
			if err == nil {
				id = lease.Attempt.ActionExecutionID
				require.Equal(t, []any{runner, day()}, []any{lease.Runner, lease.Until})
			}
			return err
		})
		return id, err
	}
	require.Empty(t, s.heldLeases())
	for i, want := range []string{"y", "z", "x"} {
		id, err := take("r of " + want)
		require.NoError(t, err)
		require.Equal(t, want, id, "by place in the queue")
		require.Equal(t, want != "x", more, "others are left")
		require.Equal(t, s.leasesInOrder("y", "z", "x")[:i+1], s.heldLeases(), "by place in the queue")
	}
	_, err := take("r4")
	require.ErrorIs(t, err, store.ErrNotFound)
	letGo := func(id string, number int, runner string) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.ReleaseLease(ctx, id, number, runner) })
	}
	require.ErrorIs(t, letGo("z", 2, "r of z"), store.ErrStale, "another attempt")
	require.ErrorIs(t, letGo("z", 3, "r of x"), store.ErrStale, "another runner's")
	require.ErrorIs(t, letGo("unknown", 3, "r of z"), store.ErrStale)
	require.NoError(t, letGo("z", 3, "r of z"))
	later := day().Add(time.Minute)
	renew := func(runner string) (ids []string) {
		s.update(func(ctx context.Context, tx store.Tx) error {
			ids = nil
			renewed, err := tx.RenewLeases(ctx, runner, later)
			for _, lease := range renewed {
				ids = append(ids, lease.Attempt.ActionExecutionID)
			}
			return err
		})
		return ids
	}
	require.Equal(t, []string{"x"}, renew("r of x"))
	require.Empty(t, renew("r of z"))
	z, y, x := get(s, leaseOf("z")), get(s, leaseOf("y")), get(s, leaseOf("x"))
	require.Equal(t, []string{"", "r of y", "r of x"}, []string{z.Runner, y.Runner, x.Runner})
	require.Equal(t, []time.Time{{}, day(), later}, []time.Time{z.Until, y.Until, x.Until})
	returned := z.Attempt
	returned.Returned = &action.Returned{Count: 2, Runner: "r of z", Reason: "no room"}
	giveBack := func(runner string) error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			return tx.ReturnLease(ctx, &execution.Lease{Attempt: returned}, runner)
		})
	}
	require.ErrorIs(t, giveBack("r of z"), store.ErrStale, "nobody holds it")
	id, err := take("r of z")
	require.NoError(t, err)
	require.Equal(t, "z", id)
	require.ErrorIs(t, giveBack("r of x"), store.ErrStale, "another runner's")
	require.NoError(t, giveBack("r of z"))
	z = get(s, leaseOf("z"))
	require.Empty(t, z.Runner)
	require.Equal(t, returned, z.Attempt)
	missing(s, leaseOf("Z"))
	require.ElementsMatch(t, []*execution.Lease{x, z}, s.leasesOf("z", "unknown", "x"), "held or not")
	require.Empty(t, s.leasesOf())
}

// Many that take at the same time get one each.
func testLeasesAreTakenOnce(s *suite) {
	t := s.t
	s.running()
	const n = 50
	change := &execution.Change{DoneAttempts: []string{"e1-0-0"}}
	for i := range n {
		lease := &execution.Lease{Scope: execution.ScopeKey{PipelineID: "p", ExecutionID: "e1"}, QueuedAt: day()}
		lease.Attempt.ExecutionID, lease.Attempt.ActionExecutionID = "e1", fmt.Sprintf("a%02d", i)
		change.Leases = append(change.Leases, lease)
	}
	s.apply(change)
	for _, err := range inParallel(n, func(i int) error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			_, _, err := tx.AcquireLease(ctx, store.LeaseRequest{Runner: fmt.Sprintf("r%02d", i), Until: day()})
			return err
		})
	}) {
		require.NoError(t, err)
	}
	holders := make(map[string]bool)
	for _, lease := range s.heldLeases() {
		holders[lease.Runner] = true
	}
	require.Len(t, holders, n)
}

func testTurnsByDueTime(s *suite) {
	t := s.t
	s.running()
	change := &execution.Change{DoneTurns: []string{"e1-0-1", "e1/1"}}
	for i, id := range []string{"c", "b", "a", "d"} {
		change.Turns = append(change.Turns, &execution.Turn{
			ID: id, Kind: execution.TurnAction, ExecutionID: "e1", Scope: execution.ScopeKey{PipelineID: "p", ExecutionID: "e1"},
			DueAt: day().Add(-time.Duration(i/2) * time.Hour), Work: &action.Turn{},
		})
	}
	s.apply(change)
	want := []*execution.Turn{change.Turns[2], change.Turns[3], change.Turns[1], change.Turns[0]}
	require.Equal(t, want, s.turns())

	// One that is carried on with is queued later, and replaced by its id.
	a := *change.Turns[2]
	a.Carrier = 7
	s.apply(&execution.Change{Turns: []*execution.Turn{&a}, Carrier: 7})
	carriedBy := func(carrier int64) func(context.Context, store.Reader) (*execution.Turn, error) {
		return func(ctx context.Context, r store.Reader) (*execution.Turn, error) {
			return r.TurnByCarrier(ctx, carrier)
		}
	}
	turn := func(id string) func(context.Context, store.Reader) (*execution.Turn, error) {
		return func(ctx context.Context, r store.Reader) (*execution.Turn, error) { return r.Turn(ctx, id) }
	}
	require.Equal(t, &a, get(s, carriedBy(7)))
	require.Equal(t, &a, get(s, turn("a")))
	replaced, ended := a, a
	replaced.DueAt, ended.ID = a.DueAt.Add(time.Microsecond), "unknown"
	s.update(func(ctx context.Context, tx store.Tx) error {
		for claimed, want := range map[*execution.Turn]bool{&a: true, &replaced: false, &ended: false} {
			mine, err := tx.ClaimTurn(ctx, claimed)
			require.Equal(t, want, mine)
			require.NoError(t, err)
		}
		return nil
	})
	turnsOf := func(ids ...string) []*execution.Turn {
		t.Helper()
		return get(s, func(ctx context.Context, r store.Reader) ([]*execution.Turn, error) { return r.TurnsOf(ctx, ids) })
	}
	require.ElementsMatch(t, []*execution.Turn{&a, change.Turns[1]}, turnsOf("b", "unknown", "a"))
	require.Empty(t, turnsOf())
	missing(s, carriedBy(8))
	missing(s, turn("unknown"))
	s.apply(&execution.Change{Turns: []*execution.Turn{change.Turns[2]}})
	missing(s, carriedBy(7))
}

func testMissingExecutions(s *suite) {
	t := s.t
	s.account("a")
	missing(s, executionByID("unknown"))
	missing(s, func(ctx context.Context, r store.Reader) (*execution.Execution, error) {
		return r.ExecutionHead(ctx, "unknown")
	})
	missing(s, func(ctx context.Context, r store.Reader) (pipeline.Status, error) {
		return r.ActionStatus(ctx, "unknown", "unknown")
	})
	missing(s, leaseOf("unknown"))
	require.Empty(t, s.leases())
	require.Empty(t, s.turns())
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, run("e1", 1)) }), store.ErrNotFound, "its pipeline does not exist")
	s.pipeline("p")
	s.apply(run("e1", 1))
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, run("e1", 2)) }), store.ErrAlreadyExists)
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error { return tx.Apply(ctx, run("e2", 1)) }), store.ErrAlreadyExists, "numbers are unique")
}

func testDeletePipelineTakesAllWithIt(s *suite) {
	t := s.t
	s.running()
	s.pipeline("q")
	other := run("e2", 1)
	other.Started[0].PipelineID = "q"
	other.Leases[0].Scope.PipelineID, other.Turns[0].Scope.PipelineID, other.Turns[1].Scope.PipelineID = "q", "q", "q"
	s.apply(other)
	// What a service has to be told of the pipeline's work is told all the same.
	abandon := &execution.Turn{
		ID: execution.AbandonTurnID("e1-0-1"), Kind: execution.TurnAbandon, DueAt: day(),
		Work: &action.Turn{Scope: action.Scope{ExecutionID: "e1"}}, Abandon: &execution.Abandon{Since: day()},
	}
	s.apply(&execution.Change{Turns: []*execution.Turn{abandon}})
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: "p", Version: 1}); err != nil {
			return err
		}
		return tx.DeletePipeline(ctx, "p", 1)
	})
	missing(s, executionByID("e1"))
	missing(s, leaseOf("e1-0-0"))
	missing(s, func(ctx context.Context, r store.Reader) (pipeline.Status, error) {
		return r.ActionStatus(ctx, "e1", "e1-0-0")
	})
	missing(s, func(ctx context.Context, r store.Reader) (definition.Version, error) {
		return r.PipelineVersion(ctx, "p", 1)
	})
	require.Empty(t, s.events("e1", 0, 0))
	require.Equal(t, other.Started[0], get(s, executionByID("e2")))
	require.Len(t, s.events("e2", 0, 0), 2)
	require.Len(t, s.leases("e2-0-0"), 1)
	require.Len(t, s.turns(), 3)
	require.Contains(t, s.turns(), abandon)
	// The name is free again.
	s.pipeline("p")
	s.apply(run("e1", 1))
	require.Len(t, s.events("e1", 0, 0), 2)
}
