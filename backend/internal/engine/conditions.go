package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// check begins the condition of that kind, or passes it where there is none.
func (d *decision) check(e *execution.Execution, stage *execution.Stage, kind pipeline.ConditionKind) {
	declared := d.declared(e, stage).Condition(kind)
	if declared == nil {
		d.passed(e, stage, kind)
		return
	}
	switch kind {
	case pipeline.ConditionBeforeEntry:
		stage.Phase = execution.PhaseBeforeEntry
	case pipeline.ConditionOnSuccess:
		stage.Phase = execution.PhaseOnSuccess
	case pipeline.ConditionOnFailure:
		stage.Phase = execution.PhaseOnFailure
	}
	c := &execution.Condition{Kind: kind, Result: declared.Result, Status: pipeline.InProgress, StartedAt: d.now}
	if kind == pipeline.ConditionBeforeEntry && d.skips(e, stage).SkipConditions {
		stage.Conditions = append(stage.Conditions, c)
		d.endCondition(e, stage, c, pipeline.Skipped, execution.EventSkipped, skippedBy(stage))
		d.passed(e, stage, kind)
		return
	}
	for i := range declared.Rules {
		rule := &declared.Rules[i]
		c.Rules = append(c.Rules, &execution.Rule{
			ID: d.scope.NewID(), Name: rule.Name, Provider: rule.Provider, Status: pipeline.InProgress,
		})
	}
	stage.Conditions = append(stage.Conditions, c)
	d.stageChanged(e, stage)
	d.conditionEvent(e, stage, c, execution.Event{State: execution.EventStarted})
}

func (d *decision) conditionEvent(e *execution.Execution, stage *execution.Stage, c *execution.Condition, ev execution.Event) {
	ev.Subject, ev.Stage, ev.Condition = execution.SubjectCondition, stage.Name, c.Kind
	d.event(e, ev)
}

// passed goes on behind a condition that keeps nothing from going on.
func (d *decision) passed(e *execution.Execution, stage *execution.Stage, kind pipeline.ConditionKind) {
	if kind == pipeline.ConditionBeforeEntry {
		stage.Phase = execution.PhaseActions
		d.stageChanged(e, stage)
		return
	}
	d.succeed(e, stage)
}

// checked returns the condition of a stage that is being checked, or nil.
func checked(stage *execution.Stage) *execution.Condition {
	if len(stage.Conditions) == 0 {
		return nil
	}
	if c := stage.Conditions[len(stage.Conditions)-1]; c.Status == pipeline.InProgress {
		return c
	}
	return nil
}

// stepCondition checks what can be checked now, and ends the condition when all of
// its rules have ended. It returns false while one has not.
func (d *decision) stepCondition(e *execution.Execution, stage *execution.Stage) bool {
	c := checked(stage)
	if c == nil {
		return false
	}
	declared := d.declared(e, stage).Condition(c.Kind)
	if d.windowsClosed(e, stage, c, declared) {
		return false
	}
	d.startRules(e, stage, c, declared)
	if slices.ContainsFunc(c.Rules, func(r *execution.Rule) bool { return r.Status == pipeline.InProgress }) {
		return false
	}
	d.conclude(e, stage, c)
	return true
}

// windowsClosed checks the deployment windows of a condition. All must be open at
// the same time, and nothing else is checked before: CodePipeline checks the other
// rules at once and does not look again when the window opens. While one is closed
// the condition waits. An automatic rollback that skips conditions waits for no window.
func (d *decision) windowsClosed(e *execution.Execution, stage *execution.Stage, c *execution.Condition, declared *pipeline.Condition) bool {
	var windows []*execution.Rule
	// Nothing may begin before the last of the windows has opened, or once the first
	// gives up.
	var opens, deadline time.Time
	skip := d.skips(e, stage).SkipConditions
	for i, r := range c.Rules {
		kind, _ := d.scope.Catalog.Lookup(declared.Rules[i].TypeID())
		if kind.Work != pipeline.WorkTimed || r.Status != pipeline.InProgress {
			continue
		}
		if skip {
			r.StartedAt = d.now
			d.stageChanged(e, stage)
			d.endRule(r, action.Result{Summary: skippedBy(stage) + ": the window counts as open"})
			continue
		}
		windows = append(windows, r)
		d.checkWindow(e, r, &declared.Rules[i], &kind)
		if r.Opens.After(opens) {
			opens = r.Opens
		}
		if deadline.IsZero() || r.Deadline.Before(deadline) {
			deadline = r.Deadline
		}
	}
	if len(windows) == 0 {
		return false
	}
	d.stageChanged(e, stage)
	for _, r := range windows {
		// One that is open gives up as well, when it has waited for the others too long.
		if !opens.IsZero() && r.Status == pipeline.InProgress && !d.now.Before(r.Deadline) {
			d.endRule(r, action.Failed(action.TimedOut, "the windows of the condition were not open together until %s", clock(r.Deadline)))
		}
	}
	failed := slices.ContainsFunc(windows, func(r *execution.Rule) bool { return r.Status == pipeline.Failed })
	if !failed && !opens.IsZero() {
		due := opens
		if deadline.Before(due) {
			due = deadline
		}
		d.change.Turns = append(d.change.Turns, &execution.Turn{
			ID: entryID(e, stage), Kind: execution.TurnRecheck, Scope: d.scope.Key, ExecutionID: e.ID, DueAt: due,
		})
		return true
	}
	for _, r := range windows {
		if !failed {
			d.endRule(r, action.Result{Summary: "the window is open"})
		}
	}
	d.turnDone(entryID(e, stage))
	return false
}

// checkWindow looks whether a window is open; while it is closed it says when it
// opens.
func (d *decision) checkWindow(e *execution.Execution, r *execution.Rule, declared *pipeline.Rule, kind *pipeline.Type) {
	if r.StartedAt.IsZero() {
		r.StartedAt = d.now
		r.Deadline = d.now.Add(ruleTimeout(declared, kind))
	}
	r.Opens = time.Time{}
	resolved, err := pipeline.ResolveRule(*declared, kind, lookup(e))
	if err != nil {
		d.endRule(r, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	r.Configuration = resolved.Configuration
	opening, err := kind.Open(kind.WithDefaults(resolved.Configuration))
	if err != nil {
		d.endRule(r, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	switch opens, ever := opening.Next(d.now); {
	case !ever:
		d.endRule(r, action.Failed(action.JobFailed, "the window %q never opens again", resolved.Configuration[opening.Property]))
	case opens.After(d.now):
		r.Opens = opens
	}
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// ruleTimeout is the rule's own, or its type's.
func ruleTimeout(declared *pipeline.Rule, kind *pipeline.Type) time.Duration {
	if declared.TimeoutInMinutes > 0 {
		return time.Duration(declared.TimeoutInMinutes) * time.Minute
	}
	return kind.DefaultTimeout
}

// startRules checks the rules that are decided at once, and where none of them
// failed starts those that run.
func (d *decision) startRules(e *execution.Execution, stage *execution.Stage, c *execution.Condition, declared *pipeline.Condition) {
	for _, runs := range []bool{false, true} {
		if slices.ContainsFunc(c.Rules, func(r *execution.Rule) bool { return r.Status == pipeline.Failed }) {
			d.endRules(e, stage, c, false, "not checked, since another rule failed")
			return
		}
		for i, r := range c.Rules {
			kind, _ := d.scope.Catalog.Lookup(declared.Rules[i].TypeID())
			if r.Status == pipeline.InProgress && r.StartedAt.IsZero() && runs == (kind.Work == pipeline.WorkAttempt || kind.Work == pipeline.WorkTurn) {
				d.startRule(e, stage, r, &declared.Rules[i], &kind)
				d.stageChanged(e, stage)
			}
		}
	}
}

func (d *decision) startRule(e *execution.Execution, stage *execution.Stage, r *execution.Rule, declared *pipeline.Rule, kind *pipeline.Type) {
	r.StartedAt = d.now
	resolved, err := pipeline.ResolveRule(*declared, kind, lookup(e))
	if err != nil {
		d.endRule(r, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	r.Configuration = resolved.Configuration
	switch kind.Work {
	case pipeline.WorkImmediate:
		d.endRule(r, decideNow(kind, r.Configuration, d.facts(e, stage)))
	case pipeline.WorkAttempt, pipeline.WorkTurn:
		inputs, err := inputs(e, resolved.InputArtifacts)
		if err != nil {
			d.endRule(r, action.Failed(action.ConfigurationError, "%s", err))
			return
		}
		if kind.Work == pipeline.WorkTurn {
			r.Work, r.Deadline = kind.Work, d.now.Add(cmp.Or(ruleTimeout(declared, kind), defaultTurnTimeout))
			d.startTurns(ruleInTurns(e, stage, r), pipeline.RuleAction(resolved, kind), inputs)
			return
		}
		r.Attempt = 1
		d.change.Leases = append(d.change.Leases, &execution.Lease{
			Scope: d.scope.Key, QueuedAt: d.now,
			Attempt: action.Attempt{
				Scope: scopeOf(e, stage, r.ID), Number: r.Attempt, Action: pipeline.RuleAction(resolved, kind), Inputs: inputs,
				Timeout: ruleTimeout(declared, kind),
			},
		})
	default:
		d.endRule(r, action.Failed(action.ConfigurationError, "this server checks no rules of %s", r.Provider))
	}
}

// facts is what a rule that is decided at once may look at.
func (d *decision) facts(e *execution.Execution, stage *execution.Stage) expression.Input {
	in := expression.Input{
		Variables: e.Variables, Outputs: outputs(e), Now: d.now,
		Trigger: expression.Trigger{Type: string(e.Trigger.Type), Detail: e.Trigger.Detail, Principal: e.Trigger.Principal},
		Execution: expression.Execution{
			ID: e.ID, Number: e.Number, Version: e.Version, Attempt: int64(e.Attempt),
			Type: string(e.Type), Mode: string(e.Mode), Stage: stage.Name,
		},
	}
	for _, r := range e.Revisions {
		in.Revisions = append(in.Revisions, expression.Revision{Action: r.Action, ID: r.ID, Summary: r.Summary, URL: r.URL})
	}
	return in
}

func (d *decision) endRule(r *execution.Rule, result action.Result) {
	r.Status, r.EndedAt, r.Summary, r.Failure = pipeline.Succeeded, d.now, result.Summary, result.Failure
	r.Opens = time.Time{}
	if result.Failure != nil {
		r.Status, r.Summary = pipeline.Failed, result.Failure.Message
	}
}

// findRunningRule returns a rule that still runs in that attempt, or in turns if the attempt
// is 0.
func (d *decision) findRunningRule(executionID, ruleID string, attempt int) (*execution.Execution, *execution.Stage, *execution.Rule) {
	e := d.scope.Find(executionID)
	if e == nil || !e.Current().Live() {
		return nil, nil, nil
	}
	c := checked(e.Current())
	if c == nil {
		return nil, nil, nil
	}
	for _, r := range c.Rules {
		if r.ID == ruleID && r.Status == pipeline.InProgress && runs(r) && r.Attempt == attempt {
			return e, e.Current(), r
		}
	}
	return nil, nil, nil
}

// runs tells whether a rule runs on a runner or in turns, once it is started.
func runs(r *execution.Rule) bool { return r.Attempt > 0 || r.Work == pipeline.WorkTurn }

// endRunningRule ends a rule that runs, and lets its execution go on.
func (d *decision) endRunningRule(e *execution.Execution, stage *execution.Stage, r *execution.Rule, result action.Result) {
	d.endRule(r, result)
	d.ruleDone(r)
	if result.ExternalID != "" || result.ExternalURL != "" {
		r.ExternalID, r.ExternalURL = result.ExternalID, result.ExternalURL
	}
	d.stageChanged(e, stage)
	d.advance(e)
}

// ruleDone removes the work item of a rule that needs it no more.
func (d *decision) ruleDone(r *execution.Rule) {
	if r.Work == pipeline.WorkTurn {
		d.turnDone(r.ID)
		return
	}
	d.change.DoneAttempts = append(d.change.DoneAttempts, r.ID)
}

// conclude ends a condition whose rules have all ended, and does what follows.
func (d *decision) conclude(e *execution.Execution, stage *execution.Stage, c *execution.Condition) {
	status, event := pipeline.Succeeded, execution.EventSucceeded
	var reasons []string
	for _, r := range c.Rules {
		switch {
		case r.Status == pipeline.Succeeded:
			continue
		case r.Failure == nil:
			continue
		case couldNotBeChecked(r.Failure.Code):
			status, event = pipeline.Errored, execution.EventErrored
		case status == pipeline.Succeeded:
			status, event = pipeline.Failed, execution.EventFailed
		}
		reasons = append(reasons, "rule "+r.Name+": "+r.Failure.Message)
	}
	summary := "all rules are met"
	if status != pipeline.Succeeded {
		summary = strings.Join(reasons, "; ")
	}
	d.endCondition(e, stage, c, status, event, summary)
	whole := fmt.Sprintf("condition %s of stage %s is not met: %s", c.Kind.Argument(), stage.Name, summary)
	if status == pipeline.Errored {
		whole = fmt.Sprintf("condition %s of stage %s could not be checked: %s", c.Kind.Argument(), stage.Name, summary)
	}
	switch {
	case c.Kind == pipeline.ConditionOnFailure:
		met := status == pipeline.Succeeded
		if met {
			summary = "condition on_failure is met"
		} else {
			summary = whole
		}
		d.fail(e, stage, failureOf(stage, lastFailed(stage))+"; "+summary, met && c.Result == pipeline.ResultRollback)
	case status == pipeline.Succeeded:
		d.passed(e, stage, c.Kind)
	case c.Kind == pipeline.ConditionBeforeEntry && c.Result == pipeline.ResultSkip && status == pipeline.Failed:
		d.endStage(e, stage, pipeline.Skipped, execution.EventSkipped)
		d.next(e, stage)
	default:
		// What could not be checked must neither skip a stage nor roll it back.
		d.fail(e, stage, whole, c.Result == pipeline.ResultRollback && status == pipeline.Failed)
	}
}

// couldNotBeChecked tells failures to check a rule from a rule that is not met.
func couldNotBeChecked(code action.FailureCode) bool {
	switch code {
	case action.ConfigurationError, action.PermissionError, action.SystemUnavailable, action.RunnerLost:
		return true
	default:
		return false
	}
}

func lastFailed(stage *execution.Stage) *execution.Action {
	var failed *execution.Action
	for _, a := range stage.Actions {
		if !a.Retried && a.Status == pipeline.Failed {
			failed = a
		}
	}
	return failed
}

func (d *decision) endCondition(e *execution.Execution, stage *execution.Stage, c *execution.Condition, status pipeline.Status, event execution.EventState, summary string) {
	c.Status, c.EndedAt, c.Summary = status, d.now, summary
	d.stageChanged(e, stage)
	d.conditionEvent(e, stage, c, execution.Event{State: event, Message: summary})
}

// endRules ends what a condition still waits for: windows, and with abandon what
// runs.
func (d *decision) endRules(e *execution.Execution, stage *execution.Stage, c *execution.Condition, abandon bool, why string) {
	for _, r := range c.Rules {
		if r.Status == pipeline.InProgress && (!runs(r) || abandon) {
			d.abandonRule(e, stage, r, why)
		}
	}
	d.stageChanged(e, stage)
}

// abandonRule ends a rule without waiting for it.
func (d *decision) abandonRule(e *execution.Execution, stage *execution.Stage, r *execution.Rule, why string) {
	if r.Work == pipeline.WorkTurn {
		d.abandonWork(ruleInTurns(e, stage, r))
	}
	if runs(r) {
		d.ruleDone(r)
	}
	if !r.Opens.IsZero() {
		d.turnDone(entryID(e, stage))
	}
	r.Status, r.EndedAt, r.Summary, r.Opens = pipeline.Abandoned, d.now, why, time.Time{}
}

// recheck looks again at a condition that waited for its windows. It is asked again
// where it comes early, since the clock was set back meanwhile.
func (d *decision) recheck(in Recheck) {
	e := d.scope.Find(in.ExecutionID)
	if e == nil || !e.Current().Live() || checked(e.Current()) == nil || entryID(e, e.Current()) != in.ID {
		return
	}
	d.advance(e)
}

// override lets an execution go on that a condition stopped or holds (CodePipeline
// 3.15).
func (d *decision) override(in Override) error {
	e, live := d.liveOrStored(in.Execution)
	c, err := d.overridable(e, live, in)
	if err != nil {
		return err
	}
	stage := e.Current()
	if !live {
		d.resume(e, in.Principal, fmt.Sprintf("condition %s is overridden: %s", c.Kind.Argument(), in.Reason))
	}
	d.endRules(e, stage, c, true, "overridden")
	c.Override = &execution.Override{Principal: in.Principal, Reason: in.Reason, At: d.now}
	c.Status, c.EndedAt = pipeline.Overridden, d.now
	d.conditionEvent(e, stage, c, execution.Event{State: execution.EventOverridden, Principal: in.Principal, Message: in.Reason})
	d.passed(e, stage, c.Kind)
	d.advance(e)
	return nil
}

// overridable returns the condition that an override is about, or says why it cannot be
// overridden.
func (d *decision) overridable(e *execution.Execution, live bool, in Override) (*execution.Condition, error) {
	if d.definition(e).Stage(in.Stage) == nil {
		return nil, fmt.Errorf("%w: version %d has no stage %q", ErrStageNotFound, e.Version, in.Stage)
	}
	if err := checkOutputsKept(e); err != nil {
		return nil, fmt.Errorf("%w; start a new execution", err)
	}
	stage := e.Current()
	if stage.Name != in.Stage || len(stage.Conditions) == 0 {
		return nil, fmt.Errorf("%w: no condition of stage %s blocks execution %d", ErrNotOverridable, in.Stage, e.Number)
	}
	c := stage.Conditions[len(stage.Conditions)-1]
	switch {
	case in.Condition != pipeline.ConditionBeforeEntry && in.Condition != pipeline.ConditionOnSuccess:
		return nil, fmt.Errorf("%w: only the conditions before_entry and on_success can be", ErrNotOverridable)
	case c.Kind != in.Condition:
		return nil, fmt.Errorf("%w: condition %s of stage %s does not block execution %d; the last one checked is %s",
			ErrNotOverridable, in.Condition.Argument(), in.Stage, e.Number, c.Kind.Argument())
	case c.Result == pipeline.ResultSkip:
		return nil, fmt.Errorf("%w: its result is SKIP", ErrNotOverridable)
	case live && (e.Stop != nil || e.Cancel != nil):
		return nil, fmt.Errorf("%w: execution %d is being stopped", ErrNotOverridable, e.Number)
	case live && c.Status == pipeline.InProgress:
		// It waits or runs.
		return c, nil
	case !live && e.Status == pipeline.Failed && stage.Status == pipeline.Failed &&
		(c.Status == pipeline.Failed || c.Status == pipeline.Errored):
		return c, d.checkLatest(e, stage)
	default:
		return nil, fmt.Errorf("%w: condition %s of stage %s is %s, and execution %d %s",
			ErrNotOverridable, c.Kind.Argument(), stage.Name, c.Status, e.Number, e.Status)
	}
}
