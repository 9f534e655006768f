package engine_test

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// reference says once more, and as simply as possible, what the engine must do. It
// is written from CodePipeline's documents and from the decision records, never
// from the engine, knows neither store nor events nor work, and takes the same
// script lines as world. TestReference compares the two after every line.
//
// Every input is one function below. All that moves by itself is in progress,
// which is called for an execution whenever something about it changed, and in
// letIn, which is called for a stage whenever somebody left it.
type reference struct {
	now      time.Time
	versions []*pipeline.Definition
	// guards are the approval rules by "Stage/action", or by "Stage/".
	guards map[string][]execution.Requirement
	// ruleRequired: manual actions that no rule guards fail.
	ruleRequired bool
	// all are the executions by number, from 1.
	all []*refExecution
	// places are what is known of stages by name.
	places map[string]*refPlace
}

type refPlace struct {
	closed    bool
	queue     []*refExecution
	latest    *refExecution
	succeeded *refExecution
}

type refExecution struct {
	number  int64
	version int64
	def     *pipeline.Definition
	mode    pipeline.ExecutionMode
	// starter is who may not approve alone: of an automatic rollback, whoever started what
	// failed.
	starter string
	// target is the execution that a rollback goes back to.
	target    *refExecution
	variables map[string]string
	// left are the actions whose outputs a rollback found.
	left map[string]bool
	// manual tells a rollback by a person from an automatic one.
	manual  bool
	status  pipeline.Status
	attempt int

	stopping, cancelling bool
	abandon              bool
	stages               []*refStage
}

type refStage struct {
	def     *pipeline.Stage
	place   int
	entered bool
	status  pipeline.Status
	phase   execution.Phase
	entry   *refApproval
	// actions are all that ever ran, retried ones too.
	actions      []*refAction
	conditions   []*refCondition
	auto, manual int
}

type refAction struct {
	def     *pipeline.Action
	work    pipeline.Work
	status  pipeline.Status
	attempt int
	retried bool
	// ran tells that it did something, more than to ask people.
	ran bool
	// people tells that somebody rejected it or nobody decided in time.
	people   bool
	approval *refApproval
	// deadline is when it times out, of one that runs in turns. told tells that its service
	// was told to end the work, and toldLate that it was told once more.
	deadline       time.Time
	told, toldLate bool
}

type refApproval struct {
	// guarded tells that a rule guards it; else the starter may not decide.
	guarded   bool
	needs     int
	supersede bool
	until     time.Time
	agreed    []string
}

type refCondition struct {
	kind   pipeline.ConditionKind
	result pipeline.Result
	status pipeline.Status
	rules  []*refRule
}

type refRule struct {
	def    *pipeline.Rule
	status pipeline.Status
	// asked tells that its commands were started.
	asked, errored bool
	// closed tells that it is a window that was closed when it was looked at.
	closed   bool
	deadline time.Time
	// told and toldLate are as of an action.
	told, toldLate bool
}

// refusal are the errors that an input may be refused with: where several reasons
// apply, the documents do not say which is told.
type refusal []error

func newReference() *reference {
	return &reference{guards: make(map[string][]execution.Requirement), places: make(map[string]*refPlace)}
}

func (r *reference) newest() int64 { return int64(len(r.versions)) }

func (r *reference) place(name string) *refPlace {
	if r.places[name] == nil {
		r.places[name] = &refPlace{}
	}
	return r.places[name]
}

// holder is who is inside of a stage; PARALLEL executions do not count.
func (r *reference) holder(name string) *refExecution {
	for _, e := range r.all {
		if e.live() && e.mode != pipeline.Parallel && e.stage().def.Name == name && e.stage().entered {
			return e
		}
	}
	return nil
}

func (e *refExecution) live() bool { return !e.status.Terminal() }

// skips are the gates that an automatic rollback does not wait for.
func (e *refExecution) skips() pipeline.OnRollback {
	if e.target == nil || e.manual {
		return pipeline.OnRollback{}
	}
	return e.stage().def.OnRollback
}

func (e *refExecution) halted() bool { return e.stopping || e.cancelling }

func (e *refExecution) stage() *refStage { return e.stages[len(e.stages)-1] }

// now are the actions that a retry has not replaced.
func (s *refStage) now() (all []*refAction) {
	for _, a := range s.actions {
		if !a.retried {
			all = append(all, a)
		}
	}
	return all
}

func (s *refStage) count(status pipeline.Status) int {
	n := 0
	for _, a := range s.now() {
		if a.status == status {
			n++
		}
	}
	return n
}

// condition is the one that is or was checked last.
func (s *refStage) condition() *refCondition {
	if len(s.conditions) == 0 {
		return nil
	}
	return s.conditions[len(s.conditions)-1]
}

// Starting, arriving, entering.

func (r *reference) start(starter string, variables map[string]string) {
	def := r.versions[r.newest()-1]
	e := r.add(def, r.newest(), starter)
	e.variables = variables
	r.arrive(e, 0)
	r.progress(e)
}

func (r *reference) add(def *pipeline.Definition, version int64, starter string) *refExecution {
	e := &refExecution{
		number: int64(len(r.all)) + 1, version: version, def: def, mode: def.Mode(), starter: starter,
		status: pipeline.InProgress, attempt: 1,
	}
	r.all = append(r.all, e)
	return e
}

// arrive: it enters a stage that is free and whose transition is enabled, else it
// waits. In SUPERSEDED mode there is one place to wait, which the newest takes.
func (r *reference) arrive(e *refExecution, place int) {
	def := &e.def.Stages[place]
	e.stages = append(e.stages, &refStage{def: def, place: place, status: pipeline.InProgress})
	at := r.place(def.Name)
	if e.mode == pipeline.Parallel || (!at.closed && r.holder(def.Name) == nil && len(at.queue) == 0) {
		r.enter(e)
		return
	}
	if e.mode == pipeline.Superseded {
		for _, w := range slices.Clone(at.queue) {
			if w.mode == pipeline.Superseded && w.number > e.number {
				r.outOfLine(e, pipeline.StatusSuperseded)
				return
			}
		}
		for _, w := range slices.Clone(at.queue) {
			if w.mode == pipeline.Superseded {
				r.outOfLine(w, pipeline.StatusSuperseded)
			}
		}
	}
	at.queue = append(at.queue, e)
}

// outOfLine ends an execution in front of a stage.
func (r *reference) outOfLine(e *refExecution, status pipeline.Status) {
	at := r.place(e.stage().def.Name)
	at.queue = slices.DeleteFunc(at.queue, func(w *refExecution) bool { return w == e })
	e.status, e.stage().status = status, status
	if status == pipeline.StatusSuperseded {
		e.stage().status = pipeline.Cancelled
	}
}

func (r *reference) enter(e *refExecution) {
	s := e.stage()
	s.entered = true
	if e.mode != pipeline.Parallel {
		r.place(s.def.Name).latest = e
	}
	if rules := r.guards[s.def.Name+"/"]; len(rules) > 0 && !e.skips().SkipApprovals {
		s.phase, s.entry = execution.PhaseApproval, r.approval(rules, 0)
		return
	}
	r.check(e, pipeline.ConditionBeforeEntry)
}

// letIn lets the first that waits into a stage that is free and open.
func (r *reference) letIn(name string) {
	at := r.place(name)
	if at.closed || len(at.queue) == 0 || r.holder(name) != nil {
		return
	}
	e := at.queue[0]
	at.queue = at.queue[1:]
	r.enter(e)
	r.progress(e)
}

// giveWay: the rules of an approval may let a newer execution that waits take the
// place of one that waits for approvals alone.
func (r *reference) giveWay(name string) {
	at, e := r.place(name), r.holder(name)
	if at.closed || e == nil || e.mode != pipeline.Superseded || e.target != nil || e.halted() {
		return
	}
	newer := slices.ContainsFunc(at.queue, func(w *refExecution) bool { return w.number > e.number && w.mode == pipeline.Superseded })
	open := e.openApprovals()
	if !newer || len(open) == 0 || slices.ContainsFunc(open, func(a *refApproval) bool { return !a.supersede }) {
		return
	}
	if s := e.stage(); s.phase == execution.PhaseActions && s.count(pipeline.InProgress) > len(open) {
		return
	}
	for _, a := range e.stage().now() {
		if a.status == pipeline.InProgress {
			a.status = pipeline.Abandoned
		}
	}
	e.stage().status, e.status = pipeline.Cancelled, pipeline.StatusSuperseded
	r.letIn(name)
}

// Actions.

// progress moves the actions of a stage on.
func (r *reference) progress(e *refExecution) {
	for e.live() && e.stage().entered && e.stage().phase == execution.PhaseActions {
		s := e.stage()
		running, failed := s.count(pipeline.InProgress), s.count(pipeline.Failed)
		switch {
		case e.halted():
			if running > 0 {
				return
			}
			r.halt(e)
		case failed > 0 && running > 0:
			return
		case failed > 0:
			r.failed(e)
		case r.startMore(e) > 0:
		case running > 0:
			return
		default:
			r.check(e, pipeline.ConditionOnSuccess)
		}
	}
}

// startMore starts what is missing of the lowest run order that is not complete;
// in PARALLEL mode five run at once at most, apart from approvals.
func (r *reference) startMore(e *refExecution) int {
	s := e.stage()
	started, busy := 0, 0
	for _, a := range s.now() {
		if a.status == pipeline.InProgress && a.work != pipeline.WorkApproval {
			busy++
		}
	}
	for _, def := range s.missing() {
		kind, known := catalog.Lookup(def.TypeID())
		if kind.Work != pipeline.WorkApproval {
			if e.mode == pipeline.Parallel && busy >= 5 {
				continue
			}
			busy++
		}
		started++
		a := &refAction{def: def, work: kind.Work, status: pipeline.InProgress, attempt: 1}
		s.actions = append(s.actions, a)
		if !known || !e.finds(def) {
			a.status = pipeline.Failed
		} else if a.ran = kind.Work != pipeline.WorkApproval; a.ran {
			timeout := kind.DefaultTimeout
			if def.TimeoutInMinutes > 0 {
				timeout = time.Duration(def.TimeoutInMinutes) * time.Minute
			}
			a.deadline = r.now.Truncate(time.Microsecond).Add(timeout)
			continue
		} else if guards := r.guards[s.def.Name+"/"+def.Name]; len(guards) == 0 && r.ruleRequired {
			a.status, a.people = pipeline.Failed, true
		} else if e.skips().SkipApprovals {
			a.status = pipeline.Succeeded
		} else {
			a.approval = r.approval(guards, kind.DefaultTimeout)
		}
	}
	return started
}

// missing are the actions of the lowest run order that is not complete that have
// not started.
func (s *refStage) missing() (all []*pipeline.Action) {
	rows := make(map[string]*refAction)
	for _, a := range s.now() {
		rows[a.def.Name] = a
	}
	lowest := 0
	for i := range s.def.Actions {
		def := &s.def.Actions[i]
		a := rows[def.Name]
		if (a == nil || a.status != pipeline.Succeeded) && (lowest == 0 || def.Order() < lowest) {
			lowest = def.Order()
		}
	}
	for i := range s.def.Actions {
		if def := &s.def.Actions[i]; def.Order() == lowest && rows[def.Name] == nil {
			all = append(all, def)
		}
	}
	return all
}

// finds tells whether what an action takes was left by an action before it.
func (e *refExecution) finds(def *pipeline.Action) bool {
	for _, artifact := range def.InputArtifacts {
		if !e.outputs(len(e.stages))[strings.TrimPrefix(artifact, "out-")] {
			return false
		}
	}
	return true
}

// outputs are the actions that count and succeeded in the first n stages.
func (e *refExecution) outputs(n int) map[string]bool {
	found := make(map[string]bool)
	for name := range e.left {
		found[name] = true
	}
	for _, s := range e.stages[:n] {
		for _, a := range s.now() {
			// An approval and the like leaves nothing.
			if a.status == pipeline.Succeeded && a.work != pipeline.WorkApproval {
				found[a.def.Name] = true
			}
		}
	}
	return found
}

// failed: all actions ended and one of them failed.
func (r *reference) failed(e *refExecution) {
	s := e.stage()
	rule := s.def.OnFailure
	people := slices.ContainsFunc(s.now(), func(a *refAction) bool { return a.status == pipeline.Failed && a.people })
	switch {
	case rule == nil:
		r.fail(e, false)
	case rule.Result == pipeline.ResultRetry && s.auto == 0 && !people:
		s.auto++
		s.again(rule.RetryMode)
	case rule.Condition != nil:
		r.check(e, pipeline.ConditionOnFailure)
	default:
		r.fail(e, rule.Result == pipeline.ResultRollback)
	}
}

// again replaces the actions that shall run again.
func (s *refStage) again(mode pipeline.RetryMode) {
	for _, a := range s.now() {
		if mode == pipeline.RetryAllActions || a.status == pipeline.Failed || a.status == pipeline.Abandoned {
			a.retried = true
		}
	}
}

// Leaving.

// leave ends a stage well; the execution goes on to the next. A rollback ends.
func (r *reference) leave(e *refExecution, status pipeline.Status) {
	s := e.stage()
	s.status = status
	if at := r.place(s.def.Name); status == pipeline.Succeeded && e.mode != pipeline.Parallel {
		at.succeeded = e
		if e.target != nil {
			at.succeeded = e.target
		}
	}
	if e.target != nil || s.place == len(e.def.Stages)-1 {
		e.status = pipeline.Succeeded
	} else {
		r.arrive(e, s.place+1)
		r.progress(e)
	}
	r.left(e, s)
}

// left lets others into a stage that somebody left.
func (r *reference) left(e *refExecution, s *refStage) {
	if e.mode != pipeline.Parallel {
		r.letIn(s.def.Name)
	}
}

// fail ends stage and execution, and may roll the stage back to the release that it
// had before, if the stage is the same in both versions. A rollback leads to no other. If
// nothing ran, the stage still has that release.
func (r *reference) fail(e *refExecution, rollback bool) {
	s := e.stage()
	s.status, e.status = pipeline.Failed, pipeline.Failed
	target := r.place(s.def.Name).succeeded
	ran := slices.ContainsFunc(s.actions, func(a *refAction) bool { return a.ran })
	if rollback && ran && e.target == nil && s.place > 0 && e.mode != pipeline.Parallel && target != nil && sameStage(target.def, e.def, s.def.Name) {
		r.rollBack(e.version, s.def.Name, target, e.starter, false)
	}
	r.left(e, s)
}

// sameStage tells whether a stage is the same in two definitions, and takes the same of
// others: in this world "out-name" and "n-name" of actions.
func sameStage(before, after *pipeline.Definition, name string) bool {
	was, is := before.Stage(name), after.Stage(name)
	if was == nil || is == nil || !reflect.DeepEqual(was, is) {
		return false
	}
	from := func(def *pipeline.Definition, name string) (stage string, id pipeline.TypeID) {
		for _, stage := range def.Stages {
			if a := stage.Action(name); a != nil {
				return stage.Name, a.TypeID()
			}
		}
		return "", id
	}
	for _, a := range is.Actions {
		for _, artifact := range a.InputArtifacts {
			name := strings.TrimPrefix(artifact, "out-")
			stage, id := from(before, name)
			now, is := from(after, name)
			if stage != now || id != is {
				return false
			}
		}
	}
	return true
}

// rollBack starts the rollback of a stage in that version; it enters at once.
func (r *reference) rollBack(version int64, name string, target *refExecution, starter string, manual bool) {
	def := r.versions[version-1]
	e := r.add(def, version, starter)
	e.manual = manual
	e.target, e.variables = target, target.variables
	for i, before := range target.stages {
		if before.def.Name == name {
			e.left = target.outputs(i)
		}
	}
	for i := range def.Stages {
		if def.Stages[i].Name == name {
			e.stages = []*refStage{{def: &def.Stages[i], place: i, status: pipeline.InProgress}}
		}
	}
	r.enter(e)
	r.progress(e)
}

// halt ends what was stopped or cancelled, now that nothing runs any more.
func (r *reference) halt(e *refExecution) {
	s := e.stage()
	e.status = pipeline.Cancelled
	if e.stopping {
		e.status = pipeline.Stopped
	}
	s.status = e.status
	r.left(e, s)
}

// Results of work.

// result ends an action that runs; what comes from a dead attempt has no effect.
func (r *reference) result(e *refExecution, a *refAction, attempt int, ok bool) {
	if !e.runs(a, attempt) {
		return
	}
	a.status = pipeline.Failed
	if ok {
		a.status = pipeline.Succeeded
	}
	r.progress(e)
}

func (e *refExecution) runs(a *refAction, attempt int) bool {
	if a.work == pipeline.WorkTurn {
		attempt++
	}
	return a.status == pipeline.InProgress && a.work != pipeline.WorkApproval && a.attempt == attempt
}

// goesOn is an executor's answer that it is not done. Nobody waits longer than the timeout.
// Work that nobody waits for any more is abandoned.
func (r *reference) goesOn(e *refExecution, a *refAction) {
	switch {
	case a.work != pipeline.WorkTurn:
	case !e.runs(a, 0):
		a.toldLate = true
	case !r.now.Before(a.deadline):
		r.unanswered(e, a, 0)
	}
}

// unanswered fails an action whose executor did not say that its work ended.
func (r *reference) unanswered(e *refExecution, a *refAction, attempt int) {
	if e.runs(a, attempt) {
		a.told = a.work == pipeline.WorkTurn
		r.result(e, a, attempt, false)
	}
}

// abandoned ends an action that runs or waits.
func (a *refAction) abandoned() {
	a.status = pipeline.Abandoned
	a.told = a.work == pipeline.WorkTurn
}

func (r *reference) lost(e *refExecution, a *refAction, attempt int) {
	if !e.runs(a, attempt) || a.work != pipeline.WorkAttempt {
		return
	}
	if a.def.OnLost == pipeline.OnLostRetry && a.attempt < 3 && !e.halted() {
		a.attempt++
		return
	}
	r.result(e, a, attempt, false)
}

// ruled ends a rule that runs commands. One whose runner is to blame could not be
// checked.
func (r *reference) ruled(e *refExecution, rule *refRule, ok, errored bool) {
	if rule.status != pipeline.InProgress || !rule.asked {
		return
	}
	rule.status, rule.errored = pipeline.Failed, errored
	if ok {
		rule.status = pipeline.Succeeded
	}
	r.judge(e)
}

// polls tells whether a rule asks a service, in turns.
func (rule *refRule) polls() bool { return rule.def.Provider == rulePoll }

// ruleGoesOn is goesOn for a rule.
func (r *reference) ruleGoesOn(e *refExecution, rule *refRule) {
	switch {
	case !rule.polls():
	case rule.status != pipeline.InProgress || !rule.asked:
		rule.toldLate = rule.asked
	case !r.now.Before(rule.deadline):
		// It is not met.
		rule.told = true
		r.ruled(e, rule, false, false)
	}
}
