package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Stages are the use cases of stages of a pipeline, whatever execution is in them.
type Stages struct {
	config ExecutionsConfig
}

// NewStages returns the use cases of stages.
func NewStages(config ExecutionsConfig) *Stages { return &Stages{config: config} }

// TransitionInput disables or enables the transition into a stage.
type TransitionInput struct {
	Stage   string
	Enabled bool
	// Reason is why it is disabled, and empty where it is enabled.
	Reason string
}

// SetTransition disables or enables the transition into a stage, and returns what
// happens in the stage then.
func (s *Stages) SetTransition(ctx context.Context, who auth.Identity, account, pipelineName string, in TransitionInput) (StageView, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return StageView{}, err
	}
	if err := pipeline.CheckTransitionReason(in.Enabled, in.Reason); err != nil {
		return StageView{}, invalidField(requestPath("reason"), err.Error())
	}
	var view StageView
	err := submit(ctx, s.config.Loop, func(ctx context.Context, tx *loop.Tx) error {
		p, err := published(ctx, tx, account, pipelineName)
		if err != nil {
			return err
		}
		key := execution.ScopeKey{PipelineID: p.ID}
		if _, err := tx.Decide(ctx, key, engine.SetTransition{
			Stage: in.Stage, Enabled: in.Enabled, Reason: in.Reason, Principal: who.Principal, Newest: p.Version,
		}); err != nil {
			return err
		}
		found, err := tx.LiveScope(ctx, key)
		view = stageView(found, in.Stage)
		return err
	})
	return view, err
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
func (s *Stages) State(ctx context.Context, who auth.Identity, account, pipelineName string) (StateView, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return StateView{}, err
	}
	var view StateView
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		p, err := findPipeline(ctx, r, account, pipelineName)
		if err != nil || p.Version == 0 {
			return err
		}
		view, err = stateOf(ctx, s.config.Loop, r, p.ID, p.Version)
		return err
	})
	return view, err
}

// NamedState is what happens in the pipeline of that name.
type NamedState struct {
	Name string
	StateView
}

// stateOf returns what happens in a pipeline whose newest version is given.
func stateOf(ctx context.Context, l *loop.Loop, r store.Reader, pipelineID string, version int64) (StateView, error) {
	def, err := l.Definition(ctx, r, pipelineID, version)
	if err != nil {
		return StateView{}, err
	}
	view := StateView{Version: version, Mode: def.Mode()}
	if view.Mode == pipeline.Parallel {
		return view, nil
	}
	found, err := r.LiveScope(ctx, execution.ScopeKey{PipelineID: pipelineID})
	if err != nil {
		return StateView{}, err
	}
	for i := range def.Stages {
		view.Stages = append(view.Stages, stageView(found, def.Stages[i].Name))
	}
	return view, nil
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
