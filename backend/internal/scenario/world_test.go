package scenario_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

const (
	account = "default"
	// runnerID is the only runner, which has as many slots as it takes.
	runnerID = "runner-1"
	// lease is longer than any story: runners get lost by restarts alone.
	lease = 100 * 365 * 24 * time.Hour
	// patience bounds what is waited for.
	patience = 20 * time.Second
)

// world is a server on data that outlives it. The story sets its clock and is its
// runner.
type world struct {
	t            *testing.T
	open         opener
	logDir       string
	clock        atomic.Int64
	ids          atomic.Int64
	groups       map[string][]string
	pipelines    []string
	loop         *loop.Loop
	executions   *service.Executions
	stages       *service.Stages
	explanations *service.Explanations
	streams      *service.Streams
	defs         *service.Pipelines
	accounts     *service.Accounts
	rules        *service.ApprovalRules
	store        store.Store
	queue        *queue
	elsewhere    *elsewhere
	stop         func()
	// away is set while the runner takes no attempts.
	away bool
	// attempts are all that the runner ever took, oldest first.
	attempts []*attempt
	// known are all executions as they are now, nil after something happened.
	known []*execution.Execution
	// explained are the executions that could say why they wait, as they were then.
	explained map[string]string
	// watched are the positions of watchers by execution.
	watched map[string]int64
}

// attempt is one that the runner took.
type attempt struct {
	runner.Assignment
	over bool
}

func newWorld(t *testing.T, open opener) *world {
	t.Helper()
	w := &world{t: t, open: open, logDir: t.TempDir(), groups: make(map[string][]string), watched: make(map[string]int64), explained: make(map[string]string), elsewhere: newElsewhere()}
	w.clock.Store(time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC).UnixNano())
	w.boot()
	require.NoError(t, w.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: account, CreatedAt: w.now()})
	}))
	w.tokens("ann", "bob", "cleo", "dan")
	return w
}

// tokens gives people a token, without which nobody may approve.
func (w *world) tokens(names ...string) {
	w.t.Helper()
	require.NoError(w.t, w.store.Update(w.t.Context(), func(ctx context.Context, tx store.Tx) error {
		for _, name := range names {
			id := uuid.NewString()
			if err := tx.CreateToken(ctx, auth.Token{
				ID: id, Hash: id, Principal: name, Groups: w.identity(name).Groups, CreatedAt: w.now(),
				Bindings: []auth.Binding{{Account: account, Role: auth.Admin}},
			}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (w *world) now() time.Time { return time.Unix(0, w.clock.Load()).UTC() }

// newID returns ids that ascend, also over restarts.
func (w *world) newID() string { return fmt.Sprintf("id%08d", w.ids.Add(1)) }

// boot starts a server.
func (w *world) boot() {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	log := hclog.NewNullLogger()
	w.store = w.open(w.t)
	bucket, err := blob.Open(ctx, "file://"+w.logDir, "logs")
	require.NoError(w.t, err)
	kept := logs.New(bucket.Unsynced(), logs.Config{Small: service.SmallLogs{Store: w.store}})
	w.queue = &queue{
		Queue: embedded.New(embedded.Config{Workers: 1, Clock: w.now, Retry: time.Millisecond, Log: log}),
		clock: w.now, nudged: make(chan struct{}),
	}
	kinds, registry := catalog.Builtin().With(typeCloud, typeAlarm), action.NewRegistry()
	registry.AddTurn(typeCloud.ID, w.elsewhere)
	registry.AddTurn(typeAlarm.ID, w.elsewhere)
	w.loop = loop.New(loop.Config{
		Store: w.store, Catalog: kinds, Registry: registry, Clock: w.now, NewID: w.newID, Lease: lease, Log: log, Queue: w.queue,
		Logs: kept,
	})
	uses := service.ExecutionsConfig{
		Store: w.store, Loop: w.loop, Catalog: kinds, Logs: kept, Clock: w.now, NewID: w.newID,
	}
	w.executions, w.stages = service.NewExecutions(uses), service.NewStages(uses)
	w.explanations, w.streams = service.NewExplanations(uses), service.NewStreams(uses)
	reports := service.NewReports(w.store, w.now)
	w.defs = service.NewPipelines(service.PipelinesConfig{Store: w.store, Reports: reports, Catalog: kinds, Loop: w.loop, Clock: w.now, NewID: w.newID, Logs: kept, Log: log})
	w.accounts = service.NewAccounts(service.AccountsConfig{Store: w.store, Reports: reports, Clock: w.now, NewID: w.newID})
	w.rules = service.NewApprovalRules(service.ApprovalRulesConfig{Store: w.store, Reports: reports, Clock: w.now})
	require.NoError(w.t, w.loop.Recover(ctx))
	done := make(chan error, 1)
	go func() { done <- w.loop.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		w.streams.EndStreams()
		cancel()
		require.NoError(w.t, <-done)
		require.NoError(w.t, w.store.Close())
	})
	w.t.Cleanup(w.stop)
}

// restart stops the server and starts another on the same data. What the runner
// had is dead.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	for _, a := range w.attempts {
		a.over = true
	}
	w.boot()
}

// queue is the real queue, which can be asked to look at the clock now.
type queue struct {
	dispatch.Queue
	clock  func() time.Time
	nudged chan struct{}
}

const nudge = "nudge"

// Run implements dispatch.Queue.
func (q *queue) Run(ctx context.Context, handler dispatch.Handler) error {
	return q.Queue.Run(ctx, func(ctx context.Context, turn *execution.Turn) (*execution.Turn, error) {
		if turn.ID != nudge {
			return handler(ctx, turn)
		}
		select {
		case q.nudged <- struct{}{}:
		case <-ctx.Done():
		}
		return nil, nil
	})
}

// settle waits until nothing is due and the runner has all there is, then checks
// what must hold at any time.
func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for w.due(ctx) {
		// The queue has one worker: what was due before the nudge is done after it.
		w.queue.Add(&execution.Turn{ID: nudge, DueAt: w.now()})
		select {
		case <-w.queue.nudged:
		case <-ctx.Done():
			require.Fail(w.t, "turns are due and nobody takes them")
		}
	}
	w.acquire(ctx)
	w.known = nil
	w.check()
}

// due tells whether a turn is due.
func (w *world) due(ctx context.Context) bool {
	w.t.Helper()
	due := false
	require.NoError(w.t, w.store.View(ctx, func(ctx context.Context, r store.Reader) error {
		turns, err := r.Turns(ctx)
		due = slices.ContainsFunc(turns, func(turn *execution.Turn) bool { return !turn.DueAt.After(w.now()) })
		return err
	}))
	return due
}

// acquire takes every attempt that waits for a runner.
func (w *world) acquire(ctx context.Context) {
	w.t.Helper()
	for !w.away {
		c, err := w.executions.Counts(ctx)
		require.NoError(w.t, err)
		if c.Queued == 0 {
			return
		}
		a, err := w.loop.Acquire(ctx, runnerID)
		require.NoError(w.t, err)
		w.attempts = append(w.attempts, &attempt{Assignment: a})
	}
}

// check checks what must hold at any time: a stage holds one execution, and who is
// live can say why.
func (w *world) check() {
	w.t.Helper()
	type place struct{ pipeline, stage string }
	inside := make(map[place]int64)
	for _, e := range w.all() {
		stage := e.Current()
		if e.Status.Terminal() {
			require.False(w.t, e.EndedAt.IsZero(), "execution %s ended, but not when", show(e))
			require.True(w.t, stage == nil || stage.Status.Terminal(), "execution %s ended in a stage that is live", show(e))
			continue
		}
		require.True(w.t, e.EndedAt.IsZero(), "execution %s is live and says when it ended", show(e))
		if e.Mode != pipeline.Parallel && stage.Live() {
			at := place{e.Pipeline, stage.Name}
			require.NotContains(w.t, inside, at, "two executions are in stage %s", stage.Name)
			inside[at] = e.Number
		}
		if line := show(e); w.explained[e.ID] != line && len(w.explained) < 100 {
			w.explained[e.ID] = line
			explanation, err := w.explanations.Explain(w.t.Context(), w.identity("watcher"), account, e.ID)
			require.NoError(w.t, err)
			require.NotEmpty(w.t, explanation.Reasons, "nothing says why execution %s waits", show(e))
		}
	}
}

// identity is a person, who may do everything that roles allow, in their groups.
func (w *world) identity(name string) auth.Identity {
	id := auth.Identity{Principal: name, Bindings: []auth.Binding{{Account: account, Role: auth.Admin}}}
	for _, group := range slices.Sorted(maps.Keys(w.groups)) {
		if slices.Contains(w.groups[group], name) {
			id.Groups = append(id.Groups, group)
		}
	}
	return id
}

// all are all executions, those of the first pipeline first, by number.
func (w *world) all() []*execution.Execution {
	w.t.Helper()
	if w.known != nil {
		return w.known
	}
	var all []*execution.Execution
	require.NoError(w.t, w.store.View(w.t.Context(), func(ctx context.Context, r store.Reader) error {
		heads, err := r.Executions(ctx, store.ExecutionFilter{Account: account, Size: 1000})
		if err != nil {
			return err
		}
		for _, head := range heads {
			e, err := r.Execution(ctx, head.ID)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	}))
	slices.SortFunc(all, func(a, b *execution.Execution) int {
		if a.Pipeline != b.Pipeline {
			return slices.Index(w.pipelines, a.Pipeline) - slices.Index(w.pipelines, b.Pipeline)
		}
		return int(a.Number - b.Number)
	})
	w.known = all
	return all
}

// find returns the execution that a story calls 1, or api/1 where it is not of the
// first pipeline.
func (w *world) find(ref string) (*execution.Execution, error) {
	name, number := w.reference(ref)
	for _, e := range w.all() {
		if e.Pipeline == name && e.Number == number {
			return e, nil
		}
	}
	return nil, fmt.Errorf("there is no execution %s", ref)
}

func (w *world) reference(ref string) (name string, number int64) {
	name, text, found := strings.Cut(ref, "/")
	if !found {
		name, text = w.pipelines[0], ref
	}
	number, err := strconv.ParseInt(text, 10, 64)
	require.NoError(w.t, err)
	return name, number
}

// called is what a story calls an execution.
func (w *world) called(e *execution.Execution) string {
	if e.Pipeline == w.pipelines[0] {
		return strconv.FormatInt(e.Number, 10)
	}
	return fmt.Sprintf("%s/%d", e.Pipeline, e.Number)
}

// calledByID is called of an id; the id where there is no such execution.
func (w *world) calledByID(id string) string {
	for _, e := range w.all() {
		if e.ID == id {
			return w.called(e)
		}
	}
	return id
}

// running returns the attempts of an execution that the runner has: of a stage, an
// action "Stage/action" or a rule.
func (w *world) running(e *execution.Execution, subject string) []*attempt {
	stage, name, _ := strings.Cut(subject, "/")
	var found []*attempt
	for _, a := range w.attempts {
		if !a.over && a.Attempt.ExecutionID == e.ID && a.Attempt.Stage == stage && (name == "" || a.Attempt.Action.Name == name) && !revoked(a) {
			found = append(found, a)
		}
	}
	return found
}

func revoked(a *attempt) bool {
	select {
	case <-a.Revoked:
		return true
	default:
		return false
	}
}

// report reports an attempt, and takes what comes in return.
func (w *world) report(a *attempt, result action.Result) error {
	answer, err := w.loop.Report(w.t.Context(), runnerID, a.Attempt, result)
	a.over = true
	if next := answer.Next; next != nil {
		w.attempts = append(w.attempts, &attempt{Assignment: *next})
	}
	return err
}

// eventsOf returns all events of an execution.
func (w *world) eventsOf(id string) []execution.Event {
	w.t.Helper()
	var events []execution.Event
	require.NoError(w.t, w.store.View(w.t.Context(), func(ctx context.Context, r store.Reader) (err error) {
		events, err = r.Events(ctx, id, 0, 0)
		return err
	}))
	return events
}

// errEnough ends a watch.
var errEnough = errors.New("enough")
