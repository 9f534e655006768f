package engine

import (
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Refusals of commands on a stage, as CodePipeline names them. What Decide returns
// wraps one of them.
var (
	ErrStageNotFound    = errors.New("no such stage")
	ErrNotRetryable     = errors.New("the stage cannot be retried")
	ErrNotLatest        = errors.New("a later execution has entered the stage")
	ErrUnableToRollback = errors.New("the stage cannot be rolled back")
	ErrOutdated         = errors.New("the execution cannot be rolled back to")
	ErrNotOverridable   = errors.New("the condition cannot be overridden")
	ErrNoTransitions    = errors.New("the pipeline has no transitions")
	ErrOutputsRemoved   = errors.New("its artifacts and logs were removed by retention")
)

// MaxRetries bounds how often people retry one stage of an execution: every retry
// leaves its actions and conditions in it.
const MaxRetries = 100

// liveOrStored returns the execution of the scope if it is live, and otherwise as it was
// given.
func (d *decision) liveOrStored(given *execution.Execution) (e *execution.Execution, live bool) {
	if e := d.scope.Find(given.ID); e != nil {
		return e, true
	}
	return given, false
}

// checkOutputsKept refuses an execution whose outputs retention removed.
func checkOutputsKept(e *execution.Execution) error {
	if e.OutputsRemovedAt.IsZero() {
		return nil
	}
	return fmt.Errorf("execution %d cannot be used any more: %w on %s", e.Number, ErrOutputsRemoved, e.OutputsRemovedAt.Format(time.DateOnly))
}

// checkLatest refuses to work again on a stage that another execution has entered since.
func (d *decision) checkLatest(e *execution.Execution, stage *execution.Stage) error {
	if e.Mode == pipeline.Parallel {
		return nil
	}
	switch latest := d.stageState(stage.Name).Latest; {
	case latest == nil:
		// It ended under a version of Headrace that did not keep it.
		return fmt.Errorf("%w or not, which is not known of stage %s at the time of execution %d; start a new execution",
			ErrNotLatest, stage.Name, e.Number)
	case latest.ExecutionID != e.ID:
		return fmt.Errorf("%w: execution %d has been in stage %s since execution %d left it",
			ErrNotLatest, latest.Number, stage.Name, e.Number)
	}
	return nil
}

// retry runs a stage of an execution again in place (CodePipeline 3.7).
func (d *decision) retry(in Retry) error {
	e, live := d.liveOrStored(in.Execution)
	stage := e.Current()
	if in.Stage != "" && in.Stage != stage.Name {
		if d.definition(e).Stage(in.Stage) == nil {
			return fmt.Errorf("%w: version %d has no stage %q", ErrStageNotFound, e.Version, in.Stage)
		}
		return fmt.Errorf("%w: execution %d is not in stage %s, the last that it reached is %s",
			ErrNotRetryable, e.Number, in.Stage, stage.Name)
	}
	if err := d.retryable(e, stage, live, in); err != nil {
		return err
	}
	message := "all actions are run again"
	if in.Mode == pipeline.RetryFailedActions {
		message = "failed actions are run again"
	}
	d.countRetry(stage, execution.RetryManual)
	d.replace(e, stage, in.Mode)
	if live {
		d.resumed(e, stage, in.Principal, message)
	} else {
		d.resume(e, in.Principal, message)
		d.enterAgain(e, stage)
	}
	d.advance(e)
	return nil
}

// retryable says why a stage cannot be retried, or nothing.
func (d *decision) retryable(e *execution.Execution, stage *execution.Stage, live bool, in Retry) error {
	refuse := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrNotRetryable, fmt.Sprintf(format, args...))
	}
	running, failed := 0, 0
	for _, a := range stage.Actions {
		switch {
		case a.Retried:
		case a.Status == pipeline.InProgress:
			running++
		case a.Status != pipeline.Succeeded:
			failed++
		}
	}
	if err := checkOutputsKept(e); err != nil {
		return fmt.Errorf("%w; start a new execution", err)
	}
	switch {
	case !stage.Entered():
		return refuse("execution %d never entered stage %s", e.Number, stage.Name)
	case stage.Retries != nil && stage.Retries.Manual >= MaxRetries:
		return refuse("stage %s was retried %d times; start a new execution", stage.Name, MaxRetries)
	case e.Version != in.Newest:
		return refuse("the definition changed: execution %d runs version %d, the newest is %d; start a new execution", e.Number, e.Version, in.Newest)
	case live && (e.Stop != nil || e.Cancel != nil):
		return refuse("execution %d is being stopped; retry it when it has", e.Number)
	case live && stage.Phase != execution.PhaseActions:
		return refuse("no action of stage %s failed; execution %d is in the phase %s of the stage", stage.Name, e.Number, stage.Phase)
	case live && failed == 0:
		return refuse("no action of stage %s failed", stage.Name)
	case !live && e.Status != pipeline.Failed && e.Status != pipeline.Stopped:
		return refuse("execution %d is %s", e.Number, e.Status)
	}
	if !live {
		if err := d.checkLatest(e, stage); err != nil {
			return err
		}
	}
	// What the other mode could do comes last: a refusal names it only if it works.
	switch {
	case live && running > 0 && in.Mode == pipeline.RetryAllActions:
		return refuse("actions of stage %s still run; retry the failed ones, or wait", stage.Name)
	case stage.Status == pipeline.Failed && failed == 0 && in.Mode == pipeline.RetryFailedActions:
		return refuse("no action of stage %s failed, it failed for another reason (%s); retry all actions", stage.Name, e.Summary)
	}
	return nil
}

// replace marks the actions that a retry runs again.
func (d *decision) replace(e *execution.Execution, stage *execution.Stage, mode pipeline.RetryMode) {
	for _, a := range stage.Actions {
		again := a.Status == pipeline.Failed || a.Status == pipeline.Abandoned ||
			(mode == pipeline.RetryAllActions && a.Status == pipeline.Succeeded)
		if again && !a.Retried {
			a.Retried = true
			d.actionChanged(e, a)
		}
	}
}

func (d *decision) countRetry(stage *execution.Stage, trigger execution.RetryTrigger) {
	retries := execution.Retries{}
	if stage.Retries != nil {
		retries = *stage.Retries
	}
	if trigger == execution.RetryAutomated {
		retries.Automatic++
	} else {
		retries.Manual++
	}
	retries.Last, retries.LastAt = trigger, d.now
	stage.Retries = &retries
}

func automaticRetries(stage *execution.Stage) int {
	if stage.Retries == nil {
		return 0
	}
	return stage.Retries.Automatic
}

// enterAgain begins a stage that ended with its first phase. People who agreed to
// its entry are not asked again: what they agreed to is the same.
func (d *decision) enterAgain(e *execution.Execution, stage *execution.Stage) {
	if stage.Entry != nil && isPending(stage.Entry) {
		stage.EarlierEntries = append(stage.EarlierEntries, stage.Entry)
		d.askForEntry(e, stage)
		return
	}
	stage.Phase = execution.PhaseApproval
}

// retryAutomatically runs a stage that failed again, which stays in it.
func (d *decision) retryAutomatically(e *execution.Execution, stage *execution.Stage, mode pipeline.RetryMode) {
	d.countRetry(stage, execution.RetryAutomated)
	d.replace(e, stage, mode)
	d.resumed(e, stage, "", "automatic retry")
}
