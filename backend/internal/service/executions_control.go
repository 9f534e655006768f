package service

import (
	"context"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// RetryInput says what of an execution to retry.
type RetryInput struct {
	// Stage may be empty for the one where the execution ended.
	Stage string
	// Mode is FAILED_ACTIONS where it is empty.
	Mode pipeline.RetryMode
}

// Retry runs the actions of a stage that failed or was stopped again, in the same
// execution.
func (x *Executions) Retry(ctx context.Context, who auth.Identity, account, executionID string, in RetryInput) (*execution.Execution, error) {
	if in.Mode == "" {
		in.Mode = pipeline.RetryFailedActions
	}
	return x.again(ctx, who, account, executionID, func(e *execution.Execution, newest int64) engine.Input {
		return engine.Retry{Execution: e, Stage: in.Stage, Mode: in.Mode, Principal: who.Principal, Newest: newest}
	})
}

// OverrideInput names a condition that does not matter this time, and says why.
type OverrideInput struct {
	Stage     string
	Condition pipeline.ConditionKind
	Reason    string
}

// Override lets an execution go on that a condition stopped or holds.
func (x *Executions) Override(ctx context.Context, who auth.Identity, account, executionID string, in OverrideInput) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	if err := checkReason(in.Reason); err != nil {
		return nil, err
	}
	return x.again(ctx, who, account, executionID, func(e *execution.Execution, _ int64) engine.Input {
		return engine.Override{Execution: e, Stage: in.Stage, Condition: in.Condition, Principal: who.Principal, Reason: in.Reason}
	})
}

// again decides about an execution that may have ended, which takes room among the
// live ones then.
func (x *Executions) again(
	ctx context.Context, who auth.Identity, account, executionID string, input func(e *execution.Execution, newest int64) engine.Input,
) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) error {
		e, err := find(ctx, tx.Execution, account, executionID)
		if err != nil {
			return refusal(out, err)
		}
		p, err := tx.Pipeline(ctx, account, e.Pipeline)
		if err != nil {
			return err
		}
		if e.Status.Terminal() {
			if err := hasRoom(ctx, tx, &p, e.Mode); err != nil {
				return refusal(out, err)
			}
		}
		return x.decide(ctx, tx, e.Scope(), "", input(e, p.Version), out)
	})
	if err := errors.Join(err, out.refused()); err != nil {
		return nil, err
	}
	return x.read(ctx, account, executionID)
}

// RollbackInput says what to roll back, and to which execution.
type RollbackInput struct {
	Stage, TargetID, RequestID string
}

// Rollback starts an execution that runs a stage again as an earlier one did. A
// repeated request id returns the execution that the first one started.
func (x *Executions) Rollback(ctx context.Context, who auth.Identity, account, pipelineName string, in RollbackInput) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	repeat := startRequest{account: account, pipeline: pipelineName, method: "RollbackStage", id: in.RequestID}
	return x.begin(ctx, repeat, func(ctx context.Context, tx store.Tx, out *outcome) error {
		p, err := published(ctx, tx, account, pipelineName)
		if err != nil {
			return refusal(out, err)
		}
		target, err := find(ctx, tx.Execution, account, in.TargetID)
		if err != nil {
			return refusal(out, err)
		}
		return x.decide(ctx, tx, execution.ScopeKey{PipelineID: p.ID}, "", engine.Rollback{
			Target: target, Stage: in.Stage, Principal: who.Principal, Newest: p.Version,
		}, out)
	})
}

// TransitionInput disables or enables the transition into a stage.
type TransitionInput struct {
	Stage   string
	Enabled bool
	// Reason is why it is disabled, and empty where it is enabled.
	Reason string
}

// checkReason checks why somebody did something, which lists show on one line.
func checkReason(reason string) error {
	if err := pipeline.CheckLine("the reason", reason); err != nil {
		return invalidField(requestPath("reason"), err.Error())
	}
	return nil
}

// SetTransition disables or enables the transition into a stage, and returns what
// happens in the stage then.
func (x *Executions) SetTransition(ctx context.Context, who auth.Identity, account, pipelineName string, in TransitionInput) (StageView, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return StageView{}, err
	}
	if err := pipeline.CheckTransitionReason(in.Enabled, in.Reason); err != nil {
		return StageView{}, invalidField(requestPath("reason"), err.Error())
	}
	var view StageView
	out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) error {
		p, err := published(ctx, tx, account, pipelineName)
		if err != nil {
			return refusal(out, err)
		}
		key := execution.ScopeKey{PipelineID: p.ID}
		if err := x.decide(ctx, tx, key, "", engine.SetTransition{
			Stage: in.Stage, Enabled: in.Enabled, Reason: in.Reason, Principal: who.Principal, Newest: p.Version,
		}, out); err != nil || !out.accepted() {
			return err
		}
		found, err := tx.LiveScope(ctx, key)
		view = stageView(found, in.Stage)
		return err
	})
	return view, errors.Join(err, out.refused())
}

// published returns a pipeline that has a version.
func published(ctx context.Context, r store.Reader, account, name string) (store.Pipeline, error) {
	p, err := findPipeline(ctx, r, account, name)
	if err == nil && p.Version == 0 {
		err = refuse(KindPrecondition, pipeline.ReasonNothingToPublish,
			"pipeline %q has no version yet: its stages and actions do not make a valid definition so far, or nobody published them", name)
	}
	return p, err
}

// StateView is what happens in a pipeline now.
type StateView struct {
	Version int64
	Mode    pipeline.ExecutionMode
	// Stages are those of the newest version in order; none in PARALLEL mode.
	Stages []StageView
}

// StageView is what happens in a stage now. The strings are ids of executions.
type StageView struct {
	Name string
	// Transition is nil while nobody touched it, which is enabled.
	Transition *execution.Transition
	// Current is in the stage; Inbound wait for it, the next one first.
	Current string
	Inbound []string
	// Latest entered the stage last. Succeeded succeeded in it last, or is the target of a
	// rollback that did.
	Latest    string
	Succeeded string
}

// State returns what happens in a pipeline now. One without a version has no stages.
func (x *Executions) State(ctx context.Context, who auth.Identity, account, pipelineName string) (StateView, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return StateView{}, err
	}
	var view StateView
	err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		p, err := findPipeline(ctx, r, account, pipelineName)
		if err != nil || p.Version == 0 {
			return err
		}
		def, err := x.definition(ctx, r, p.ID, p.Version)
		if err != nil {
			return err
		}
		view = StateView{Version: p.Version, Mode: def.Mode()}
		if view.Mode == pipeline.Parallel {
			return nil
		}
		found, err := r.LiveScope(ctx, execution.ScopeKey{PipelineID: p.ID})
		if err != nil {
			return err
		}
		for i := range def.Stages {
			view.Stages = append(view.Stages, stageView(found, def.Stages[i].Name))
		}
		return nil
	})
	return view, err
}

func stageView(found store.LiveScope, name string) StageView {
	scope := engine.Scope{Live: found.Live, State: found.State}
	state := found.State.Stage(name)
	view := StageView{Name: name, Transition: state.Transition}
	holder, waiting := scope.Occupants(name)
	if holder != nil {
		view.Current = holder.ID
	}
	for _, e := range waiting {
		view.Inbound = append(view.Inbound, e.ID)
	}
	if state.Latest != nil {
		view.Latest = state.Latest.ExecutionID
	}
	if state.Succeeded != nil {
		view.Succeeded = state.Succeeded.ExecutionID
	}
	return view
}
