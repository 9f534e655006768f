package service_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// screen shows an account as a client of a stream does: it knows nothing but patches.
type screen struct {
	l    *lab
	stop func()

	mu         sync.Mutex
	pipelines  map[string]*service.PipelineSummary
	states     map[string]service.StateView
	executions map[string]*execution.Execution
	deleted    map[string]bool
	// patches are counted, with the actions and summaries in them; snapshots are those of them that began anew.
	patches, snapshots, actions, summaries int
	time                                   time.Time
	// held keeps the stream from reading on while it is locked.
	held sync.Mutex
	done chan error
}

// watch opens a stream.
func (l *lab) watch(w service.AccountWatch) *screen {
	l.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &screen{l: l, done: make(chan error, 1), deleted: make(map[string]bool)}
	go func() { s.done <- l.WatchAccount(ctx, admin, "default", w, s.take) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-s.done; err != nil {
			require.ErrorIs(l.t, err, context.Canceled)
		}
	})
	l.t.Cleanup(s.stop)
	return s
}

func (s *screen) take(p *service.AccountPatch) error {
	s.held.Lock()
	defer s.held.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.patches++
	s.summaries += len(p.Pipelines)
	s.time = p.Time
	if p.Snapshot {
		s.snapshots++
		s.pipelines, s.states = make(map[string]*service.PipelineSummary), make(map[string]service.StateView)
		s.executions, s.deleted = make(map[string]*execution.Execution), make(map[string]bool)
	}
	for _, name := range p.DeletedPipelines {
		delete(s.pipelines, name)
		delete(s.states, name)
		s.deleted[name] = true
	}
	for _, name := range p.DeletedExecutions {
		delete(s.executions, name.ID)
		s.deleted[name.ID] = true
	}
	for _, summary := range p.Pipelines {
		s.pipelines[summary.Name] = summary
		delete(s.deleted, summary.Name)
	}
	for _, state := range p.States {
		s.states[state.Name] = state.StateView
	}
	for _, e := range p.Executions {
		for _, stage := range e.Stages {
			s.actions += len(stage.Actions)
		}
		s.executions[e.ID] = merged(s.executions[e.ID], e)
	}
	return nil
}

// merged returns an execution with the actions that a patch left out, in the order of their ids.
func merged(before, patch *execution.Execution) *execution.Execution {
	for i, stage := range patch.Stages {
		if before == nil || i >= len(before.Stages) {
			continue
		}
		for _, a := range before.Stages[i].Actions {
			if !slices.ContainsFunc(stage.Actions, func(other *execution.Action) bool { return other.ID == a.ID }) {
				stage.Actions = append(stage.Actions, a)
			}
		}
		slices.SortFunc(stage.Actions, func(a, b *execution.Action) int {
			if a.ID < b.ID {
				return -1
			}
			return 1
		})
	}
	return patch
}

// shows waits until the screen shows something.
func (s *screen) shows(what string, is func(*screen) bool) {
	s.l.t.Helper()
	require.Eventually(s.l.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return is(s)
	}, 20*time.Second, 5*time.Millisecond, what)
}

// stage returns the summary of a stage of a pipeline that is shown, empty for none.
func (s *screen) stage(name string, i int) service.StageSummary {
	if p := s.pipelines[name]; p != nil && i < len(p.Stages) {
		return p.Stages[i]
	}
	return service.StageSummary{}
}

// showsTruth waits until the executions and states on the screen are those that reads return.
func (s *screen) showsTruth() {
	s.l.t.Helper()
	s.shows("what reads return", func(s *screen) bool {
		for id, e := range s.executions {
			if !same(s.l.get(id), e) {
				return false
			}
		}
		for name, state := range s.states {
			read, err := s.l.State(context.Background(), admin, "default", name)
			if err != nil || !same(read, state) {
				return false
			}
		}
		return true
	})
}

// same compares two records by their texts, in which an empty list is one that is missing.
func same(a, b any) bool {
	one, _ := json.Marshal(a)
	other, _ := json.Marshal(b)
	return len(one) > 0 && string(one) == string(other)
}

func (l *lab) deletePipeline(name string) {
	l.t.Helper()
	p := l.stored(name)
	require.NoError(l.t, l.store.Update(l.t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.DeletePipeline(ctx, p.ID, p.Revision)
	}))
}

func executions(ids ...string) (names []pipeline.ExecutionName) {
	for _, id := range ids {
		names = append(names, pipeline.ExecutionName{PipelineName: pipeline.PipelineName{Account: "default", Pipeline: pipeline.AnyPipeline}, ID: id})
	}
	return names
}

// TestWatchAccountShowsWhatHappens follows an account by patches alone.
func TestWatchAccountShowsWhatHappens(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Queued, []string{"build", "test"}, []string{"?sign"}, []string{"deploy"}))
	first := l.start("web")
	l.pipeline("api", stages(pipeline.Parallel, []string{"build"}, []string{"?sign"}))
	s := l.watch(service.AccountWatch{Overview: true, Pipelines: []string{"web", "later"}, Executions: executions(first.ID, "never")})
	s.shows("a snapshot", func(s *screen) bool { return s.snapshots == 1 })
	require.Equal(t, []string{"api", "web"}, slices.Sorted(maps.Keys(s.pipelines)))
	require.True(t, s.deleted["later"], "what does not exist is named")
	require.True(t, s.deleted["never"])
	require.Equal(t, pipeline.InProgress, s.stage("web", 0).Status)
	require.Equal(t, first.ID, s.stage("web", 0).ExecutionID)

	a := l.acquire("r1")
	next := l.report("r1", a, action.Result{})
	second := l.start("web")
	s.shows("who waits", func(s *screen) bool {
		return s.stage("web", 0).Waiting == 1 && s.pipelines["web"].Latest.ID == second.ID
	})
	l.report("r1", *next, action.Result{})
	s.shows("an open approval", func(s *screen) bool { return s.stage("web", 1).Approvals == 1 && s.pipelines["web"].Approvals == 1 })
	require.Equal(t, 2, s.pipelines["web"].Live)
	_, err := l.SetTransition(t.Context(), admin, "default", "web", service.TransitionInput{Stage: "S2", Reason: "freeze"})
	require.NoError(t, err)
	s.shows("a transition that no event reports", func(s *screen) bool { return s.stage("web", 2).Disabled != nil })
	_, err = l.Decide(t.Context(), approver, "default", first.ID, service.Decision{Approve: true})
	require.NoError(t, err)
	s.shows("who waits for the transition", func(s *screen) bool { return s.stage("web", 2).Waiting == 1 && s.pipelines["web"].Approvals == 0 })
	require.Equal(t, pipeline.Succeeded, s.stage("web", 1).Status)
	s.showsTruth()

	l.pipeline("later", stages("", []string{"?sign"}))
	s.shows("a new pipeline", func(s *screen) bool { return s.pipelines["later"] != nil && len(s.states["later"].Stages) == 1 })
	l.start("later")
	parallel := l.start("api")
	s.shows("a PARALLEL execution", func(s *screen) bool {
		return s.stage("api", 0).ExecutionID == parallel.ID && s.stage("api", 0).Status == pipeline.InProgress
	})
	_, err = l.Stop(t.Context(), admin, "default", first.ID, false, "enough")
	require.NoError(t, err)
	s.shows("who stopped it", func(s *screen) bool {
		e := s.executions[first.ID]
		return e.Status == pipeline.Stopped && e.Stop.Principal == admin.Principal
	})
	s.showsTruth()
	l.deletePipeline("web")
	s.shows("a deleted pipeline", func(s *screen) bool { return s.deleted["web"] && s.deleted[first.ID] })
	l.pipeline("web", stages("", []string{"again"}))
	s.shows("the name again", func(s *screen) bool { return !s.deleted["web"] && len(s.states["web"].Stages) == 1 })
	require.Equal(t, 1, s.snapshots)
}

// TestStateNamesGatesAndWhoWaits holds that a state says who is where, since when, and how far
// the gates are, also to those that watch it.
func TestStateNamesGatesAndWhoWaits(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Queued, []string{"?sign"}))
	rule := approval.Rule{
		Account: "default", Name: "two", Pipelines: []string{"web"}, Actions: []string{"sign"}, Revision: 1,
		Requirement: execution.Requirement{MinimumCount: 2, Users: []string{"eve", "bob", admin.Principal}},
	}
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.CreateApprovalRule(ctx, rule) }))
	s := l.watch(service.AccountWatch{Pipelines: []string{"web"}})
	s.shows("a gate at which nobody waits", func(s *screen) bool { return len(s.states["web"].Stages) == 1 })
	idle := service.GateView{Kind: engine.GateApproval, Action: "sign", Approvals: []service.GateApproval{{Rule: "two", Minimum: 2}}}
	require.Equal(t, []service.GateView{idle}, s.states["web"].Stages[0].Gates)

	first := l.start("web")
	l.later(time.Minute)
	second := l.start("web")
	l.later(time.Minute)
	third := l.start("web")
	eve := identity(auth.Approver, "default")
	eve.Principal = "eve"
	_, err := l.Decide(t.Context(), eve, "default", first.ID, service.Decision{Approve: true})
	require.NoError(t, err)
	s.shows("who waits", func(s *screen) bool {
		stage := s.states["web"].Stages[0]
		return len(stage.Waiting) == 2 && stage.Gates[0].ExecutionID == first.ID && stage.Gates[0].Approvals[0].Approved == 1
	})
	s.showsTruth()
	stage := s.states["web"].Stages[0]
	require.Equal(t, first.ID, stage.Holder.ID)
	require.Equal(t, admin.Principal, stage.Holder.Principal)
	require.Equal(t, []string{second.ID, third.ID}, []string{stage.Waiting[0].ID, stage.Waiting[1].ID})
	require.Equal(t, time.Minute, stage.Waiting[1].Since.Sub(stage.Waiting[0].Since))
	gate := stage.Gates[0]
	require.Equal(t, first.Current().Actions[0].ID, gate.ApprovalID)
	require.Equal(t, first.Current().Actions[0].Details.Approval.ExpiresAt, gate.Until)
	require.Equal(t, []string{"bob"}, gate.Ender.Approvers.Users, "who decided or started it cannot")

	// A rule that changes is not an event.
	rule.MinimumCount = 3
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.UpdateApprovalRule(ctx, rule) }))
	for _, e := range []*execution.Execution{third, second, first} {
		_, err := l.Stop(t.Context(), admin, "default", e.ID, true, "")
		require.NoError(t, err)
	}
	s.shows("the rule", func(s *screen) bool { return s.states["web"].Stages[0].Gates[0].Approvals[0].Minimum == 3 })
}

// TestWatchAccountSendsOnlyChangedActions holds that a patch of a large execution is small.
func TestWatchAccountSendsOnlyChangedActions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("a%02d", i)
	}
	l.pipeline("web", stages("", names))
	e := l.start("web")
	next := new(l.acquire("r1"))
	for range 90 {
		next = l.report("r1", *next, action.Result{})
	}
	s := l.watch(service.AccountWatch{Executions: executions(e.ID)})
	s.shows("all actions", func(s *screen) bool { return s.actions == 91 })
	for next != nil {
		next = l.report("r1", *next, action.Result{})
	}
	s.shows("the end", func(s *screen) bool { return s.executions[e.ID].Status == pipeline.Succeeded })
	s.showsTruth()
	require.Empty(t, s.pipelines, "no overview was asked for")
	// 9 more started, and each of the 10 may be in two patches.
	require.LessOrEqual(t, s.actions, 91+20)
}

// TestWatchAccountIsCoalesced holds that a stream gets the newest state of what changed while
// it was slow, and nothing twice.
func TestWatchAccountIsCoalesced(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"~noop"}))
	s := l.watch(service.AccountWatch{Overview: true})
	s.shows("a snapshot", func(s *screen) bool { return s.snapshots == 1 })
	began := time.Now()
	s.held.Lock()
	var last *execution.Execution
	for range 50 {
		last = l.becomes(l.start("web").ID, pipeline.Succeeded)
	}
	s.held.Unlock()
	s.shows("the last execution", func(s *screen) bool {
		latest := s.pipelines["web"].Latest
		return latest != nil && latest.ID == last.ID && latest.Status == pipeline.Succeeded
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	require.LessOrEqual(t, s.patches, 2+int(time.Since(began)/(250*time.Millisecond)), "at most 4 a second")
	require.Equal(t, 1, s.snapshots)
}

// TestWatchAccountSendsHeartbeats holds that a stream without changes sends the time, and nothing
// else.
func TestWatchAccountSendsHeartbeats(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign"}))
	l.SetHeartbeat(time.Millisecond)
	s := l.watch(service.AccountWatch{Overview: true})
	s.shows("heartbeats", func(s *screen) bool { return s.patches == 4 && s.time.Equal(l.now()) })
	require.Equal(t, 1, s.snapshots)
	require.Equal(t, 1, s.summaries)
}

// TestWatchAccountReadsOnceForAll holds that a server reads an account once, however many
// streams show it.
func TestWatchAccountReadsOnceForAll(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages(pipeline.Queued, []string{"?sign"}))
	all := make([]*screen, 30)
	for i := range all {
		all[i] = l.watch(service.AccountWatch{Overview: true, Pipelines: []string{"web"}})
	}
	for _, s := range all {
		s.shows("a snapshot", func(s *screen) bool { return s.snapshots == 1 })
	}
	before, began := l.store.views.Load(), time.Now()
	for i := range 5 {
		l.start("web")
		for _, s := range all {
			s.shows("the new execution", func(s *screen) bool { return s.pipelines["web"].Live == i+1 })
		}
	}
	views := l.store.views.Load() - before
	// Looks, reads of the feed, and two reads of each start.
	require.LessOrEqual(t, int(views), 2*int(time.Since(began)/(100*time.Millisecond))+20)
	for _, s := range all {
		s.stop()
	}
	again := l.watch(service.AccountWatch{Overview: true})
	again.shows("another board", func(s *screen) bool { return s.pipelines["web"] != nil && s.pipelines["web"].Live == 5 })
}

// TestWatchAccountIsRefused holds who may watch what.
func TestWatchAccountIsRefused(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	none := func(*service.AccountPatch) error { return errors.New("a patch for someone who may not read") }
	err := l.WatchAccount(t.Context(), identity(auth.Admin, "other"), "default", service.AccountWatch{Overview: true}, none)
	requireRefused(t, err, service.KindDenied, pipeline.ReasonPermissionDenied)
	everywhere := identity(auth.Admin, auth.Every)
	err = l.WatchAccount(t.Context(), everywhere, "missing", service.AccountWatch{Overview: true}, none)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)

	// An execution of another account does not exist, nor does one under the name of another pipeline.
	l.pipeline("web", stages("", []string{"?sign"}))
	e := l.start("web")
	named := pipeline.ExecutionName{PipelineName: pipeline.PipelineName{Account: "default", Pipeline: "api"}, ID: e.ID}
	for account, name := range map[string]pipeline.ExecutionName{"other": executions(e.ID)[0], "default": named} {
		stop := errors.New("seen")
		require.ErrorIs(t, l.WatchAccount(t.Context(), everywhere, account, service.AccountWatch{Executions: []pipeline.ExecutionName{name}},
			func(p *service.AccountPatch) error {
				require.Empty(t, p.Executions)
				require.Equal(t, []pipeline.ExecutionName{name}, p.DeletedExecutions)
				return stop
			}), stop)
	}
}

// TestWatchAccountEnds holds that streams end with the server, and if the store fails, after
// which they can be opened again.
func TestWatchAccountEnds(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.pipeline("web", stages("", []string{"?sign"}))
	s := l.watch(service.AccountWatch{Overview: true})
	s.shows("a snapshot", func(s *screen) bool { return s.snapshots == 1 })
	broken := errors.New("the store does not answer")
	fail := func(context.Context) error { return broken }
	l.store.viewing.Store(&fail)
	require.ErrorIs(t, <-s.done, broken)
	s.done <- nil
	l.store.viewing.Store(nil)
	again := l.watch(service.AccountWatch{Overview: true})
	again.shows("a snapshot", func(s *screen) bool { return len(s.pipelines) == 1 })
	l.EndStreams()
	require.ErrorIs(t, <-again.done, service.ErrStopping)
	again.done <- nil
}

// TestWatchAccountShowsOtherServers holds that a stream shows what another server commits.
func TestWatchAccountShowsOtherServers(t *testing.T) {
	t.Parallel()
	one, two := newTwo(t, time.Hour, false)
	one.pipeline("web", stages(pipeline.Queued, []string{"?sign"}, []string{"?again"}))
	e := one.start("web")
	s := two.watch(service.AccountWatch{Overview: true, Pipelines: []string{"web"}, Executions: executions(e.ID)})
	s.shows("an approval", func(s *screen) bool { return s.stage("web", 0).Approvals == 1 })
	_, err := one.Decide(t.Context(), approver, "default", e.ID, service.Decision{Approve: true})
	require.NoError(t, err)
	s.shows("the next approval", func(s *screen) bool { return s.stage("web", 1).Approvals == 1 && len(s.executions[e.ID].Stages) == 2 })
	_, err = one.SetTransition(t.Context(), admin, "default", "web", service.TransitionInput{Stage: "S1", Reason: "freeze"})
	require.NoError(t, err)
	s.shows("a transition", func(s *screen) bool { return s.stage("web", 1).Disabled != nil })
	s.showsTruth()
	one.deletePipeline("web")
	s.shows("the deletion", func(s *screen) bool { return s.deleted["web"] && s.deleted[e.ID] })
}
