package engine_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
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
	// people tells that somebody rejected it or nobody decided in time.
	people   bool
	approval *refApproval
}

type refApproval struct {
	needs     int
	supersede bool
	until     time.Time
	agreed    []string
}

type refCondition struct {
	kind   pipeline.ConditionKind
	result string
	status pipeline.Status
	rules  []*refRule
}

type refRule struct {
	def    *pipeline.Rule
	status pipeline.Status
	// asked tells that its commands were started.
	asked, errored bool
	deadline       time.Time
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

func (e *refExecution) live() bool       { return !e.status.Terminal() }
func (e *refExecution) halted() bool     { return e.stopping || e.cancelling }
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
	if rules := r.guards[s.def.Name+"/"]; len(rules) > 0 {
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

// Approvals.

func (r *reference) approval(rules []execution.Requirement, timeout time.Duration) *refApproval {
	if timeout == 0 {
		timeout = 7 * 24 * time.Hour
	}
	a := &refApproval{needs: 1, supersede: len(rules) > 0}
	for _, rule := range rules {
		a.needs = max(a.needs, rule.MinimumCount)
		a.supersede = a.supersede && rule.Supersede
		if rule.ExpireAfter > 0 {
			timeout = min(timeout, rule.ExpireAfter)
		}
	}
	a.until = r.now.Truncate(time.Microsecond).Add(timeout)
	return a
}

func (e *refExecution) openApprovals() (open []*refApproval) {
	s := e.stage()
	if !e.live() || !s.entered {
		return nil
	}
	if s.phase == execution.PhaseApproval {
		return []*refApproval{s.entry}
	}
	for _, a := range s.now() {
		if a.approval != nil && a.status == pipeline.InProgress {
			open = append(open, a.approval)
		}
	}
	return open
}

func (r *reference) approve(e *refExecution, who string, agrees bool, stage, name string) refusal {
	var found []*refApproval
	var of *refAction
	for _, open := range e.openApprovals() {
		s := e.stage()
		i := slices.IndexFunc(s.now(), func(a *refAction) bool { return a.approval == open })
		if (stage != "" && stage != s.def.Name) || (name != "" && (i < 0 || s.now()[i].def.Name != name)) {
			continue
		}
		found = append(found, open)
		if i >= 0 {
			of = s.now()[i]
		}
	}
	if len(found) != 1 || !r.now.Truncate(time.Microsecond).Before(found[0].until) {
		return refusal{engine.ErrNoApproval}
	}
	a := found[0]
	if slices.Contains(a.agreed, who) {
		return refusal{engine.ErrAlreadyDecided}
	}
	if !agrees {
		r.denied(e, of)
		return nil
	}
	a.agreed = append(a.agreed, who)
	if len(a.agreed) < a.needs {
		return nil
	}
	if of == nil {
		r.check(e, pipeline.ConditionBeforeEntry)
	} else {
		of.status = pipeline.Succeeded
	}
	r.progress(e)
	return nil
}

// denied: somebody rejected, or nobody decided in time.
func (r *reference) denied(e *refExecution, of *refAction) {
	if of == nil {
		r.fail(e, false)
		return
	}
	of.status, of.people = pipeline.Failed, true
	r.progress(e)
}

func (r *reference) expire(e *refExecution, of *refAction) {
	over := func(a *refApproval) bool { return !r.now.Truncate(time.Microsecond).Before(a.until) }
	open := e.openApprovals()
	if of == nil && len(open) > 0 && e.stage().phase == execution.PhaseApproval && over(open[0]) {
		r.denied(e, nil)
	}
	if of != nil && slices.Contains(open, of.approval) && over(of.approval) {
		r.denied(e, of)
	}
}

// Conditions.

// check begins the check of a condition, or goes on where the stage has none.
func (r *reference) check(e *refExecution, kind pipeline.ConditionKind) {
	s := e.stage()
	s.phase = map[pipeline.ConditionKind]execution.Phase{
		pipeline.ConditionBeforeEntry: execution.PhaseBeforeEntry, pipeline.ConditionOnSuccess: execution.PhaseOnSuccess,
		pipeline.ConditionOnFailure: execution.PhaseOnFailure,
	}[kind]
	def := s.def.Condition(kind)
	if def == nil {
		r.checked(e, kind, pipeline.Succeeded, "")
		return
	}
	c := &refCondition{kind: kind, result: def.Result, status: pipeline.InProgress}
	for i := range def.Rules {
		rule := &refRule{def: &def.Rules[i], status: pipeline.InProgress}
		timeout := 60 * 24 * time.Hour
		if rule.def.TimeoutInMinutes > 0 {
			timeout = time.Duration(rule.def.TimeoutInMinutes) * time.Minute
		}
		rule.deadline = r.now.Truncate(time.Microsecond).Add(timeout)
		c.rules = append(c.rules, rule)
	}
	s.conditions = append(s.conditions, c)
	r.recheck(e)
}

// waits tells whether a condition still waits for its windows.
func (c *refCondition) waits() bool {
	return c != nil && c.status == pipeline.InProgress && slices.ContainsFunc(c.rules, func(rule *refRule) bool {
		return rule.def.Provider == pipeline.RuleDeploymentWindow && rule.status == pipeline.InProgress
	})
}

// asked tells whether commands of the condition run or ran.
func (c *refCondition) asked() bool {
	return slices.ContainsFunc(c.rules, func(rule *refRule) bool { return rule.asked })
}

// recheck looks at the windows, and once they are all open at the rest.
func (r *reference) recheck(e *refExecution) {
	c := e.stage().condition()
	if !e.live() || c == nil || c.status != pipeline.InProgress || c.asked() {
		return
	}
	closed, late := false, false
	for _, rule := range c.rules {
		if rule.def.Provider != pipeline.RuleDeploymentWindow {
			continue
		}
		opens, ever := opening(rule.def, r.now)
		closed = closed || !ever || opens.After(r.now)
		if !ever || !r.now.Before(rule.deadline) {
			late = true
		}
	}
	if closed {
		for _, rule := range c.rules {
			// It may also be another that is closed.
			if _, ever := opening(rule.def, r.now); rule.def.Provider == pipeline.RuleDeploymentWindow && (!ever || !r.now.Before(rule.deadline)) {
				rule.status = pipeline.Failed
			}
		}
		if late {
			r.judge(e)
		}
		return
	}
	failed := false
	for _, rule := range c.rules {
		switch rule.def.Provider {
		case pipeline.RuleDeploymentWindow:
			rule.status = pipeline.Succeeded
		case pipeline.RuleCommands:
			continue
		case pipeline.RuleVariableCheck:
			name := strings.TrimSuffix(strings.TrimPrefix(rule.def.Configuration["Variable"], "#{variables."), "}")
			value, known := e.variables[name]
			rule.status, rule.errored = pipeline.Failed, !known
			if value == rule.def.Configuration["Value"] && known {
				rule.status = pipeline.Succeeded
			}
		default:
			rule.status, rule.errored = pipeline.Failed, true
		}
		failed = failed || rule.status == pipeline.Failed
	}
	// Commands are not started where another rule has failed.
	for _, rule := range c.rules {
		rule.asked = !failed && rule.def.Provider == pipeline.RuleCommands
	}
	r.judge(e)
}

// opening is the first moment from now on at which a window is open.
func opening(rule *pipeline.Rule, now time.Time) (time.Time, bool) {
	var from, to int
	if _, err := fmt.Sscanf(rule.Configuration["Cron"], "* * %d-%d ? * MON-FRI", &from, &to); err != nil {
		return time.Time{}, false
	}
	for t := now.UTC(); ; t = t.Truncate(time.Hour).Add(time.Hour) {
		if day := t.Weekday(); t.Hour() >= from && t.Hour() <= to && day != time.Saturday && day != time.Sunday {
			return t, true
		}
	}
}

// judge ends a condition once none of its rules runs: all of them must succeed.
func (r *reference) judge(e *refExecution) {
	c := e.stage().condition()
	failed, errored := false, false
	for _, rule := range c.rules {
		if rule.asked && rule.status == pipeline.InProgress {
			return
		}
		failed = failed || rule.status == pipeline.Failed
		errored = errored || rule.errored
	}
	c.status = pipeline.Succeeded
	switch {
	case e.halted():
		c.status = pipeline.Cancelled
	case errored:
		c.status = pipeline.Errored
	case failed:
		c.status = pipeline.Failed
	}
	c.rest()
	if e.halted() {
		r.halt(e)
		return
	}
	r.checked(e, c.kind, c.status, c.result)
	r.progress(e)
}

// rest abandons the rules that nobody waits for any more.
func (c *refCondition) rest() {
	for _, rule := range c.rules {
		if rule.status == pipeline.InProgress {
			rule.status = pipeline.Abandoned
		}
	}
}

// checked: what follows from a condition. One that could not be checked fails the
// stage and has no other result.
func (r *reference) checked(e *refExecution, kind pipeline.ConditionKind, status pipeline.Status, result string) {
	met := status == pipeline.Succeeded
	unmet := status == pipeline.Failed
	switch {
	case kind == pipeline.ConditionBeforeEntry && met:
		e.stage().phase = execution.PhaseActions
	case kind == pipeline.ConditionBeforeEntry && unmet && result == pipeline.ResultSkip:
		r.leave(e, pipeline.Skipped)
	case kind == pipeline.ConditionOnSuccess && met:
		r.leave(e, pipeline.Succeeded)
	case kind == pipeline.ConditionOnSuccess:
		r.fail(e, unmet && result == pipeline.ResultRollback)
	case kind == pipeline.ConditionOnFailure:
		r.fail(e, met && result == pipeline.ResultRollback)
	default:
		r.fail(e, false)
	}
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
	lowest, busy := 0, 0
	row := func(def *pipeline.Action) *refAction {
		for _, a := range s.now() {
			if a.def.Name == def.Name {
				return a
			}
		}
		return nil
	}
	for i := range s.def.Actions {
		def := &s.def.Actions[i]
		a := row(def)
		if (a == nil || a.status != pipeline.Succeeded) && (lowest == 0 || def.Order() < lowest) {
			lowest = def.Order()
		}
		if a != nil && a.status == pipeline.InProgress && a.work != pipeline.WorkApproval {
			busy++
		}
	}
	started := 0
	for i := range s.def.Actions {
		def := &s.def.Actions[i]
		if def.Order() != lowest || row(def) != nil {
			continue
		}
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
		} else if kind.Work == pipeline.WorkApproval {
			a.approval = r.approval(r.guards[s.def.Name+"/"+def.Name], kind.DefaultTimeout)
		}
	}
	return started
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
	if at := r.place(s.def.Name); status == pipeline.Succeeded && e.target == nil && e.mode != pipeline.Parallel {
		at.succeeded = e
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

// fail ends stage and execution, and may roll the stage back to who succeeded in
// it last, if that was in the same version. A rollback leads to no other.
func (r *reference) fail(e *refExecution, rollback bool) {
	s := e.stage()
	s.status, e.status = pipeline.Failed, pipeline.Failed
	target := r.place(s.def.Name).succeeded
	if rollback && e.target == nil && s.place > 0 && e.mode != pipeline.Parallel && target != nil && target.version == e.version {
		r.rollBack(s, target, "")
	}
	r.left(e, s)
}

// rollBack starts the rollback of a stage; it enters at once.
func (r *reference) rollBack(s *refStage, target *refExecution, by string) {
	e := r.add(target.def, target.version, by)
	e.manual = by != ""
	e.target, e.variables = target, target.variables
	for i, before := range target.stages {
		if before.def.Name == s.def.Name {
			e.left = target.outputs(i)
			e.stages = []*refStage{{def: before.def, place: before.place, status: pipeline.InProgress}}
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

// Commands.

func (r *reference) stop(e *refExecution, abandon bool) refusal {
	switch {
	case !e.live():
		return refusal{engine.ErrNotStoppable}
	case e.stopping && (e.abandon || !abandon):
		return refusal{engine.ErrDuplicateStop}
	case !e.stage().entered:
		r.outOfLine(e, pipeline.Stopped)
		return nil
	}
	e.stopping, e.abandon = true, abandon
	e.status, e.stage().status = pipeline.Stopping, pipeline.Stopping
	r.endWaits(e, abandon)
	return nil
}

// endWaits ends waits for people and for windows at once, with abandon all.
func (r *reference) endWaits(e *refExecution, abandon bool) {
	s := e.stage()
	switch c := s.condition(); s.phase {
	case execution.PhaseApproval:
		r.halt(e)
	case execution.PhaseActions:
		for _, a := range s.now() {
			if a.status == pipeline.InProgress && (abandon || a.work == pipeline.WorkApproval) {
				a.status = pipeline.Abandoned
			}
		}
		r.progress(e)
	default:
		if abandon || c.waits() {
			c.status = pipeline.Cancelled
			if abandon {
				c.status = pipeline.Abandoned
			}
			c.rest()
			r.halt(e)
		}
	}
}

// publish adds a version; with on_update "cancel" executions of older ones end as
// soon as nothing runs any more. Those in line go first: none of them enters.
func (r *reference) publish(def *pipeline.Definition) {
	r.versions = append(r.versions, def)
	if def.OnUpdate != pipeline.OnUpdateCancel {
		return
	}
	var inside []*refExecution
	for _, e := range r.all {
		if !e.live() || e.mode == pipeline.Parallel || e.version == r.newest() {
			continue
		}
		if !e.stage().entered {
			r.outOfLine(e, pipeline.Cancelled)
			continue
		}
		inside = append(inside, e)
	}
	for _, e := range inside {
		if !e.stopping && !e.cancelling {
			e.cancelling = true
			r.endWaits(e, false)
		}
	}
}

func (r *reference) transition(name string, closed bool) {
	r.place(name).closed = closed
	if !closed {
		r.letIn(name)
	}
}

// retry runs the stage again in which an execution failed or was stopped.
func (r *reference) retry(e *refExecution, stage string, mode pipeline.RetryMode) (no refusal) {
	s := e.stage()
	if e.def.Stage(stage) == nil && stage != "" {
		return refusal{engine.ErrStageNotFound}
	}
	running, failed := s.count(pipeline.InProgress), s.count(pipeline.Failed)
	switch {
	case stage != "" && stage != s.def.Name, !s.entered, e.version != r.newest(), e.halted() && e.live():
		no = append(no, engine.ErrNotRetryable)
	case e.live() && (s.phase != execution.PhaseActions || failed == 0 || (mode == pipeline.RetryAllActions && running > 0)):
		no = append(no, engine.ErrNotRetryable)
	case !e.live() && e.status != pipeline.Failed && e.status != pipeline.Stopped:
		no = append(no, engine.ErrNotRetryable)
	case e.status == pipeline.Failed && failed == 0 && mode == pipeline.RetryFailedActions:
		no = append(no, engine.ErrNotRetryable)
	}
	if e.mode != pipeline.Parallel && r.place(s.def.Name).latest != e {
		no = append(no, engine.ErrNotLatest)
	}
	if len(no) > 0 {
		return no
	}
	s.manual++
	s.again(mode)
	if e.live() {
		r.progress(e)
		return nil
	}
	e.resume()
	if s.entry != nil && len(s.entry.agreed) < s.entry.needs {
		s.phase, s.entry = execution.PhaseApproval, r.approval(r.guards[s.def.Name+"/"], 0)
		return nil
	}
	r.check(e, pipeline.ConditionBeforeEntry)
	r.progress(e)
	return nil
}

// resume brings an execution back that has ended.
func (e *refExecution) resume() {
	e.status, e.stage().status = pipeline.InProgress, pipeline.InProgress
	e.attempt++
	e.stopping, e.abandon, e.cancelling = false, false, false
}

// rollback runs a stage again as an earlier execution did.
func (r *reference) rollback(name string, target *refExecution) (no refusal) {
	newest := r.versions[r.newest()-1]
	def := newest.Stage(name)
	if def == nil {
		return refusal{engine.ErrStageNotFound}
	}
	if newest.Mode() == pipeline.Parallel || target.mode == pipeline.Parallel || target.version != r.newest() ||
		newest.Stages[0].Name == name || r.holder(name) != nil {
		no = append(no, engine.ErrUnableToRollback)
	}
	i := slices.IndexFunc(target.stages, func(s *refStage) bool { return s.def.Name == name && s.status == pipeline.Succeeded })
	if target.target != nil || i < 0 {
		no = append(no, engine.ErrOutdated)
	}
	if len(no) > 0 {
		return no
	}
	r.rollBack(target.stages[i], target, "ann")
	return nil
}

// override lets an execution go on behind a condition that stopped or holds it.
func (r *reference) override(e *refExecution, stage string, kind pipeline.ConditionKind) refusal {
	s := e.stage()
	c := s.condition()
	if e.def.Stage(stage) == nil {
		return refusal{engine.ErrStageNotFound}
	}
	fits := stage == s.def.Name && c != nil && c.kind == kind && kind != pipeline.ConditionOnFailure && c.result != pipeline.ResultSkip
	latest := e.mode == pipeline.Parallel || r.place(s.def.Name).latest == e
	switch {
	case fits && e.live() && !e.halted() && c.status == pipeline.InProgress:
		c.rest()
	case fits && e.status == pipeline.Failed && (c.status == pipeline.Failed || c.status == pipeline.Errored) && latest:
		e.resume()
	case !latest:
		return refusal{engine.ErrNotLatest, engine.ErrNotOverridable}
	default:
		return refusal{engine.ErrNotOverridable}
	}
	c.status = pipeline.Overridden
	r.checked(e, kind, pipeline.Succeeded, "")
	r.progress(e)
	return nil
}

// step takes one script line, as world does.
func (r *reference) step(line string) refusal {
	line, _, _ = strings.Cut(line, ` "`)
	words := strings.Fields(line)
	verb, args := words[0], words[1:]
	defer r.settle()
	switch verb {
	case "start":
		variables := make(map[string]string)
		for _, word := range args[1:] {
			name, value, _ := strings.Cut(word, "=")
			variables[name] = value
		}
		r.start(args[0], variables)
		return nil
	case "guard":
		r.guards[args[0]] = append(r.guards[args[0]], requirement(args[1:]))
		return nil
	case "enable", "disable":
		r.transition(args[0], verb == "disable")
		return nil
	case "rollback":
		return r.rollback(args[0], r.numbered(args[1]))
	case "wait", "restart":
		return nil
	}
	return r.command(r.numbered(args[0]), verb, args[1:])
}

func (r *reference) numbered(word string) *refExecution {
	number, err := strconv.Atoi(word)
	if err != nil {
		panic(err) //nolint:forbidigo // The script is wrong.
	}
	return r.all[number-1]
}

// command takes a line that is about one execution.
func (r *reference) command(e *refExecution, verb string, args []string) refusal {
	switch verb {
	case "ok", "fail", "broken", "lost", "late", "again":
		r.reported(e, verb, args)
		return nil
	case "approve", "reject":
		args = append(args, "", "")
		return r.approve(e, args[0], verb == "approve", args[1], args[2])
	case "expire":
		if len(args) == 0 {
			r.expire(e, nil)
		} else {
			r.expire(e, e.action(args[0]))
		}
		return nil
	case "recheck":
		r.recheck(e)
		return nil
	case "stop", "abandon":
		return r.stop(e, verb == "abandon")
	case "retry":
		stage, mode := "", pipeline.RetryFailedActions
		for _, word := range args {
			if word == "all" {
				mode = pipeline.RetryAllActions
			} else {
				stage = word
			}
		}
		return r.retry(e, stage, mode)
	case "override":
		return r.override(e, args[0], pipeline.ConditionKind(strings.ReplaceAll(strings.ToUpper(args[1]), "-", "_")))
	}
	panic("no such input: " + verb) //nolint:forbidigo // The script is wrong.
}

// reported takes what a runner or a turn says.
func (r *reference) reported(e *refExecution, verb string, args []string) {
	if rule := e.rule(args[0]); rule != nil {
		r.ruled(e, rule, verb == "ok", verb == "lost" || verb == "broken")
		return
	}
	a := e.action(args[0])
	attempt := a.attempt
	if a.work != pipeline.WorkAttempt {
		attempt = 0
	}
	switch verb {
	case "late":
		attempt, _ = strconv.Atoi(args[1])
		r.result(e, a, attempt, true)
	case "lost":
		r.lost(e, a, attempt)
	case "again":
	default:
		r.result(e, a, attempt, verb == "ok")
	}
}

// action finds an action by its name, the newest of that name, or with "name#2"
// the second.
func (e *refExecution) action(name string) *refAction {
	var found []*refAction
	for _, s := range e.stages {
		for _, a := range s.actions {
			if a.def.Name == strings.Split(name, "#")[0] {
				found = append(found, a)
			}
		}
	}
	return which(found, name)
}

func (e *refExecution) rule(name string) *refRule {
	var found []*refRule
	for _, s := range e.stages {
		for _, c := range s.conditions {
			for _, rule := range c.rules {
				if rule.def.Name == strings.Split(name, "#")[0] {
					found = append(found, rule)
				}
			}
		}
	}
	return which(found, name)
}

func which[T any](found []*T, name string) *T {
	if _, place, numbered := strings.Cut(name, "#"); numbered && len(found) > 0 {
		i, _ := strconv.Atoi(place)
		return found[i-1]
	}
	if len(found) == 0 {
		return nil
	}
	return found[len(found)-1]
}

// settle is what holds between inputs beside what each does by itself.
func (r *reference) settle() {
	for _, def := range r.versions {
		for i := range def.Stages {
			r.giveWay(def.Stages[i].Name)
		}
	}
}

// rows are the executions as a store would hold them, as far as the reference
// knows.
func (r *reference) rows() (all []*execution.Execution) {
	for _, e := range r.all {
		row := &execution.Execution{
			Number: e.number, Version: e.version, Mode: e.mode, Type: pipeline.TypeStandard, Attempt: e.attempt, Status: e.status,
		}
		if e.target != nil {
			row.Type, row.Rollback = pipeline.TypeRollback, &execution.Rollback{TargetNumber: e.target.number}
			row.Trigger.Type = execution.TriggerAutomatedRollback
			if e.manual {
				row.Trigger.Type = execution.TriggerManualRollback
			}
		}
		if e.cancelling {
			row.Cancel = &execution.Cancel{}
		}
		for _, s := range e.stages {
			row.Stages = append(row.Stages, s.row(r, e))
		}
		all = append(all, row)
	}
	return all
}

func (s *refStage) row(r *reference, e *refExecution) *execution.Stage {
	row := &execution.Stage{Name: s.def.Name, Position: s.place, Status: s.status}
	row.Arrival = int64(slices.Index(r.place(s.def.Name).queue, e))
	if s.entered {
		row.StartedAt = r.now
	}
	row.Phase, row.Retries = s.phase, &execution.Retries{Automatic: s.auto, Manual: s.manual}
	if s.entry != nil {
		row.Entry = &execution.Approval{Requirements: []execution.Requirement{{MinimumCount: s.entry.needs}}}
		for range s.entry.agreed {
			row.Entry.Decisions = append(row.Entry.Decisions, execution.Verdict{Approved: true})
		}
	}
	for _, c := range s.conditions {
		condition := &execution.Condition{Kind: c.kind, Status: c.status}
		for _, rule := range c.rules {
			condition.Rules = append(condition.Rules, &execution.Rule{Name: rule.def.Name, Status: rule.status})
		}
		row.Conditions = append(row.Conditions, condition)
	}
	for _, a := range s.actions {
		row.Actions = append(row.Actions, &execution.Action{Name: a.def.Name, Status: a.status, Attempt: a.attempt, Retried: a.retried})
	}
	return row
}

// state is what a store would hold of the stages.
func (r *reference) state() *execution.PipelineState {
	state := &execution.PipelineState{Stages: make(map[string]*execution.StageState)}
	passage := func(e *refExecution) *execution.Passage {
		if e == nil {
			return nil
		}
		return &execution.Passage{Number: e.number, Version: e.version}
	}
	for name, at := range r.places {
		state.Stages[name] = &execution.StageState{
			Transition: &execution.Transition{Disabled: at.closed}, Latest: passage(at.latest), Succeeded: passage(at.succeeded),
		}
	}
	return state
}

func stageNames() []string { return []string{"A", "B", "C", "D", "E"} }
