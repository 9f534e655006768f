package service

import (
	"context"
	"iter"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// rereadEvery is how often a board reads a live execution or a state again without an
	// event: the summary of an action and approval rules may change.
	rereadEvery = 5 * time.Second
	// maxDeleted bounds the deleted pipelines that a board remembers. A stream that has not
	// sent one which was forgotten begins again with a snapshot.
	maxDeleted = 1000
)

// unseen is the position of a stream that has sent nothing.
const unseen = -1

// board is what happens in an account, as it was read last, with what changed when. Streams
// compare that with what they sent, so the board keeps nothing for any of them. What it
// publishes never changes: a change replaces it.
type board struct {
	account string
	// streams is guarded by the mutex of boards.
	streams int

	cancel context.CancelFunc
	ended  chan struct{}
	// wake asks for a look, and hurry for one without a pause.
	wake, hurry chan struct{}

	mu sync.Mutex
	// position counts changes. changed is closed by the next one.
	position int64
	changed  chan struct{}
	// ready is set once all pipelines were read.
	ready bool
	err   error
	// pipelines are by id, states by the name of a pipeline and executions by id.
	pipelines  map[string]*shownPipeline
	states     map[string]*shownState
	executions map[string]*shownExecution
	// deleted are the pipelines that were deleted last, oldest first. forgotten is the
	// position of the last one that is no longer among them.
	deleted   []deletedPipeline
	forgotten int64
	// dirty are ids of executions that have events since the last look.
	dirty map[string]bool
}

type shownPipeline struct {
	*PipelineSummary

	// at is the position of the last change.
	at int64
}

type deletedPipeline struct {
	name string
	at   int64
}

// shownState is the state of a pipeline that streams watch.
type shownState struct {
	streams int
	// read is set once it was looked for.
	read   bool
	readAt time.Time
	at     int64
	// NamedState is nil if there is no such pipeline.
	*NamedState
}

// shownExecution is an execution that streams watch.
type shownExecution struct {
	streams int
	read    bool
	// readAt is when it was read last.
	readAt time.Time
	at     int64
	// Execution is nil if there is no such execution in the account.
	*execution.Execution

	// actions are the positions of the last changes of the actions, by id.
	actions map[string]int64
}

// due tells whether the execution has to be read again, although no event says so.
func (s *shownExecution) due(now time.Time) bool {
	return !s.read || (s.Execution != nil && !s.Status.Terminal() && now.Sub(s.readAt) >= rereadEvery)
}

func newBoard(account string, cancel context.CancelFunc) *board {
	return &board{
		account: account, cancel: cancel, ended: make(chan struct{}),
		wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1), changed: make(chan struct{}), dirty: make(map[string]bool),
		pipelines: make(map[string]*shownPipeline), states: make(map[string]*shownState), executions: make(map[string]*shownExecution),
	}
}

// end ends the board and waits for that.
func (b *board) end() {
	b.cancel()
	<-b.ended
}

// show makes the board read what a stream watches, until hide.
func (b *board) show(watch *AccountWatch) {
	b.mu.Lock()
	for _, name := range watch.Pipelines {
		if b.states[name] == nil {
			b.states[name] = &shownState{}
		}
		b.states[name].streams++
	}
	for _, name := range watch.Executions {
		if b.executions[name.ID] == nil {
			b.executions[name.ID] = &shownExecution{}
		}
		b.executions[name.ID].streams++
	}
	b.mu.Unlock()
	signal(b.hurry)
}

func (b *board) hide(watch *AccountWatch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, name := range watch.Pipelines {
		if b.states[name].streams--; b.states[name].streams == 0 {
			delete(b.states, name)
		}
	}
	for _, name := range watch.Executions {
		if b.executions[name.ID].streams--; b.executions[name.ID].streams == 0 {
			delete(b.executions, name.ID)
		}
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (b *board) failed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err != nil
}

// fail ends the streams of the board. Their clients call again, and get another board.
func (b *board) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		b.publish()
	}
}

// publish tells streams of a change. The caller holds the mutex.
func (b *board) publish() {
	close(b.changed)
	b.changed = make(chan struct{})
}

// since returns what changed after a position, or a snapshot, with the position up to which
// that is. It is nil while not all that is watched was read. changed is closed by the next
// change.
func (b *board) since(seen int64, watch *AccountWatch) (patch *AccountPatch, position int64, changed <-chan struct{}, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil || !b.readAll(watch) {
		return nil, seen, b.changed, b.err
	}
	if seen < b.forgotten {
		seen = unseen
	}
	patch = &AccountPatch{Snapshot: seen == unseen}
	names := make(map[string]bool)
	for _, p := range b.pipelines {
		if watch.Overview || slices.Contains(watch.Pipelines, p.Name) {
			names[p.Name] = true
			if p.at > seen {
				patch.Pipelines = append(patch.Pipelines, p.PipelineSummary)
			}
		}
	}
	slices.SortFunc(patch.Pipelines, func(a, b *PipelineSummary) int { return strings.Compare(a.Name, b.Name) })
	if watch.Overview && !patch.Snapshot {
		for _, d := range b.deleted {
			if d.at > seen && !names[d.name] && !slices.Contains(watch.Pipelines, d.name) {
				patch.DeletedPipelines = append(patch.DeletedPipelines, d.name)
			}
		}
	}
	for _, name := range watch.Pipelines {
		switch s := b.states[name]; {
		case s.at <= seen:
		case s.NamedState == nil:
			patch.DeletedPipelines = append(patch.DeletedPipelines, name)
		default:
			patch.States = append(patch.States, s.NamedState)
		}
	}
	for _, name := range watch.Executions {
		switch s := b.executions[name.ID]; {
		case s.at <= seen:
		case s.Execution == nil || (name.Pipeline != pipeline.AnyPipeline && name.Pipeline != s.Pipeline):
			patch.DeletedExecutions = append(patch.DeletedExecutions, name)
		default:
			patch.Executions = append(patch.Executions, s.since(seen))
		}
	}
	return patch, b.position, b.changed, nil
}

// readAll tells whether all was read that a stream watches. The caller holds the mutex.
func (b *board) readAll(watch *AccountWatch) bool {
	read := b.ready
	for _, name := range watch.Pipelines {
		read = read && b.states[name].read
	}
	for _, name := range watch.Executions {
		read = read && b.executions[name.ID].read
	}
	return read
}

// since returns the execution without the actions that did not change after a position.
func (s *shownExecution) since(seen int64) *execution.Execution {
	e := *s.Execution
	e.Stages = make([]*execution.Stage, len(s.Stages))
	for i, stage := range s.Stages {
		reduced := *stage
		reduced.Actions = slices.DeleteFunc(slices.Clone(stage.Actions), func(a *execution.Action) bool { return s.actions[a.ID] <= seen })
		e.Stages[i] = &reduced
	}
	return &e
}

func (b *board) note(events []execution.Event) {
	if len(events) == 0 {
		return
	}
	b.mu.Lock()
	for i := range events {
		b.dirty[events[i].ExecutionID] = true
	}
	b.mu.Unlock()
	signal(b.wake)
}

// sight is what a look read.
type sight struct {
	// position is that in the feed which the first look has all changes before.
	position int64
	marks    []store.PipelineMark
	// summaries are those of the pipelines that changed, by id.
	summaries map[string]*PipelineSummary
	// states and executions are those that were read, nil if they do not exist.
	states     map[string]*NamedState
	executions map[string]*execution.Execution
}

// task is what a look has to read.
type task struct {
	first bool
	// dirty are ids of executions that have new events.
	dirty []string
	// states are the names of the watched pipelines, true for those that need not be read
	// while nothing happens in them.
	states map[string]bool
	// executions are the ids of the watched executions, with the id of the pipeline if they
	// need not be read while that exists.
	executions map[string]string
}

// next returns what the next look has to read.
func (b *board) next(now time.Time) task {
	b.mu.Lock()
	defer b.mu.Unlock()
	do := task{
		first: !b.ready, dirty: slices.Collect(maps.Keys(b.dirty)),
		states: make(map[string]bool, len(b.states)), executions: make(map[string]string, len(b.executions)),
	}
	for name, s := range b.states {
		do.states[name] = s.read && now.Sub(s.readAt) < rereadEvery
	}
	for id, s := range b.executions {
		switch {
		case b.dirty[id] || s.due(now):
			do.executions[id] = ""
		case s.Execution != nil:
			do.executions[id] = s.PipelineID
		}
	}
	clear(b.dirty)
	return do
}

// take publishes what a look found that is not what the board showed.
func (b *board) take(found *sight, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	at := b.position + 1
	changed := !b.ready
	for id, summary := range found.summaries {
		if known := b.pipelines[id]; known == nil || !reflect.DeepEqual(known.PipelineSummary, summary) {
			b.pipelines[id], changed = &shownPipeline{PipelineSummary: summary, at: at}, true
		}
	}
	changed = b.removeOthers(found.marks, at) || changed
	for name, state := range found.states {
		s := b.states[name]
		if s == nil {
			continue
		}
		s.readAt = now
		if s.read && reflect.DeepEqual(s.NamedState, state) {
			continue
		}
		s.read, s.at, s.NamedState, changed = true, at, state, true
	}
	for id, e := range found.executions {
		if s := b.executions[id]; s != nil && s.take(e, at, now) {
			changed = true
		}
	}
	b.ready = true
	if changed {
		b.position = at
		b.publish()
	}
}

// removeOthers removes the pipelines that do not exist any more. The caller holds the mutex.
func (b *board) removeOthers(marks []store.PipelineMark, at int64) (removed bool) {
	if len(marks) == len(b.pipelines) {
		// Each of the marks has a pipeline.
		return false
	}
	exists := make(map[string]bool, len(marks))
	for _, mark := range marks {
		exists[mark.ID] = true
	}
	for id, p := range b.pipelines {
		if exists[id] {
			continue
		}
		b.deleted = append(b.deleted, deletedPipeline{name: p.Name, at: at})
		delete(b.pipelines, id)
		removed = true
	}
	if more := len(b.deleted) - maxDeleted; more > 0 {
		b.forgotten = b.deleted[more-1].at
		b.deleted = slices.Delete(b.deleted, 0, more)
	}
	return removed
}

// take replaces the execution by what was read, and tells whether that differs.
func (s *shownExecution) take(e *execution.Execution, at int64, now time.Time) bool {
	before := s.Execution
	s.readAt = now
	if s.read && reflect.DeepEqual(before, e) {
		return false
	}
	s.read, s.at, s.Execution = true, at, e
	known := make(map[string]*execution.Action)
	for a := range actionsOf(before) {
		known[a.ID] = a
	}
	actions := make(map[string]int64)
	for a := range actionsOf(e) {
		actions[a.ID] = at
		if old := known[a.ID]; old != nil && reflect.DeepEqual(old, a) {
			actions[a.ID] = s.actions[a.ID]
		}
	}
	s.actions = actions
	return true
}

// actionsOf returns the actions of an execution, none of nil.
func actionsOf(e *execution.Execution) iter.Seq[*execution.Action] {
	return func(yield func(*execution.Action) bool) {
		if e == nil {
			return
		}
		for _, stage := range e.Stages {
			for _, a := range stage.Actions {
				if !yield(a) {
					return
				}
			}
		}
	}
}
