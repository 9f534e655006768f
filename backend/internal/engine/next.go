package engine

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// StepKind is the type of something that a person can do. Callers get the contract's
// kinds; these texts are read in tests alone.
type StepKind string

// The kinds of steps.
const (
	StepDecide   StepKind = "decide_approval"
	StepRetry    StepKind = "retry_stage"
	StepOverride StepKind = "override_condition"
	StepEnable   StepKind = "enable_transition"
	StepStop     StepKind = "stop_execution"
	StepAbandon  StepKind = "abandon_execution"
	// StepStart is a new execution. Whether there is room for one is not the engine's
	// to say, so it never offers this.
	StepStart StepKind = "start_execution"
)

// Step is something that a person can do about an execution now.
type Step struct {
	Kind StepKind
	// ExecutionID is the execution to do it to: of one that waits for a stage, it may be
	// the one that holds it.
	ExecutionID   string
	Stage, Action string
	Condition     pipeline.ConditionKind
	Mode          pipeline.RetryMode
	// ApprovalID names the wait to decide on.
	ApprovalID      string
	RequiresComment bool
	// Variables are what to start an execution with.
	Variables map[string]string
}

// StepRefusal says why a retry or an override is not possible now. The error is the one
// that Decide would return.
type StepRefusal struct {
	Kind      StepKind
	Stage     string
	Condition pipeline.ConditionKind
	Err       error
}

// Next says what people can do about an execution, the most likely first, and why it
// cannot be retried or go on without its condition. The execution is given as in Retry.
// It runs the checks of Decide and changes nothing.
func Next(scope *Scope, given *execution.Execution, newest int64, now time.Time) ([]Step, []StepRefusal) {
	d := &decision{scope: scope, now: now.UTC().Truncate(time.Microsecond), change: &execution.Change{}}
	e, live := d.liveOrStored(given)
	stage := e.Current()
	if stage == nil {
		return nil, nil
	}
	steps, refusals := d.possible(e, live, newest)
	if !live {
		return steps, refusals
	}
	if stage.Waiting() {
		if d.disabled(stage.Name) {
			steps = append(steps, Step{Kind: StepEnable, ExecutionID: e.ID, Stage: stage.Name})
		}
		if holder, _ := scope.Occupants(stage.Name); holder != nil {
			more, _ := d.possible(holder, true, newest)
			steps = append(steps, more...)
		}
	}
	if e.Cancel == nil && stoppable(e, false) == nil {
		steps = append(steps, Step{Kind: StepStop, ExecutionID: e.ID})
	}
	return steps, refusals
}

// possible is the part of Next that also helps those who wait for the execution.
func (d *decision) possible(e *execution.Execution, live bool, newest int64) (steps []Step, refusals []StepRefusal) {
	if live {
		steps = d.decidable(e)
	}
	stage := e.Current()
	if err := d.retrySteps(e, live, newest, &steps); err != nil {
		refusals = append(refusals, StepRefusal{Kind: StepRetry, Stage: stage.Name, Err: err})
	}
	if len(stage.Conditions) > 0 {
		kind := stage.Conditions[len(stage.Conditions)-1].Kind
		switch _, err := d.overridable(e, live, Override{Stage: stage.Name, Condition: kind}); {
		case err == nil:
			steps = append(steps, Step{Kind: StepOverride, ExecutionID: e.ID, Stage: stage.Name, Condition: kind})
		case kind != pipeline.ConditionOnFailure:
			refusals = append(refusals, StepRefusal{Kind: StepOverride, Stage: stage.Name, Condition: kind, Err: err})
		}
	}
	if live && (e.Stop != nil || e.Cancel != nil) && stoppable(e, true) == nil {
		steps = append(steps, Step{Kind: StepAbandon, ExecutionID: e.ID})
	}
	return steps, refusals
}

// decidable are the decisions that somebody can take.
func (d *decision) decidable(e *execution.Execution) []Step {
	var steps []Step
	for _, w := range openApprovals(e) {
		if a := w.Approvers(); w.expired(d.now) || len(a.Users)+len(a.Groups) == 0 && !a.Anyone {
			continue
		}
		step := Step{Kind: StepDecide, ExecutionID: e.ID, Stage: w.Stage.Name, ApprovalID: w.ID()}
		if w.Action != nil {
			step.Action = w.Action.Name
		}
		for _, r := range w.Approval().Requirements {
			step.RequiresComment = step.RequiresComment || r.RequireComment
		}
		steps = append(steps, step)
	}
	return steps
}

// retrySteps adds the retries that are possible. If none is, it says why.
func (d *decision) retrySteps(e *execution.Execution, live bool, newest int64, steps *[]Step) error {
	var refused error
	before := len(*steps)
	for _, mode := range []pipeline.RetryMode{pipeline.RetryFailedActions, pipeline.RetryAllActions} {
		if err := d.retryable(e, e.Current(), live, Retry{Mode: mode, Newest: newest}); err != nil {
			refused = err
			continue
		}
		*steps = append(*steps, Step{Kind: StepRetry, ExecutionID: e.ID, Stage: e.Current().Name, Mode: mode})
	}
	if len(*steps) > before {
		return nil
	}
	return refused
}
