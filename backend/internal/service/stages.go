package service

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
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
		reads := stateReader{loop: s.config.Loop, account: account, pipeline: pipelineName, id: p.ID, version: p.Version, now: s.config.Clock()}
		state, err := reads.read(ctx, tx, in.Stage)
		if err == nil {
			view = state.Stages[0]
		}
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
	// Holder is in the stage, nil if none is. Waiting wait for it, the next one first.
	Holder  *Occupant
	Waiting []Occupant
	// Latest entered the stage last. Succeeded succeeded in it last, or is the target of a
	// rollback that did.
	Latest    string
	Succeeded string
	// Gates are what an execution has to pass before, in and after the stage.
	Gates []GateView
}

// Occupant is an execution in a stage or in front of it.
type Occupant struct {
	ID     string
	Number int64
	// Since is when it entered the stage or arrived in front of it.
	Since time.Time
	// Trigger and Principal are what and who started it.
	Trigger   execution.TriggerType
	Principal string
	// Revision is the id of the revision that the execution is about, empty while it has none,
	// and RevisionSummary its summary in one line.
	Revision, RevisionSummary string
	// Stopping is set if a person or a newer version ends it.
	Stopping bool
}

// GateView is a gate of a stage, with the execution that waits at it, if one does.
type GateView struct {
	Kind      engine.GateKind
	Action    string
	Rule      string
	Condition pipeline.ConditionKind
	// Approvals are what an approval takes.
	Approvals []GateApproval
	// ExecutionID and Number are of the execution that waits, and what follows why. All are
	// empty if none does.
	ExecutionID string
	Number      int64
	Since       time.Time
	Until       time.Time
	Message     string
	ApprovalID  string
	Ender       engine.Ender
}

// GateApproval is how many people a rule asks for, and how many agreed. The rule is empty
// for the default of one approver.
type GateApproval struct {
	Rule              string
	Minimum, Approved int
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
		reads := stateReader{loop: s.config.Loop, account: account, pipeline: pipelineName, id: p.ID, version: p.Version, now: s.config.Clock()}
		view, err = reads.read(ctx, r)
		return err
	})
	return view, err
}

// NamedState is what happens in the pipeline of that name.
type NamedState struct {
	Name string
	StateView
}

// stateReader reads what happens in a pipeline.
type stateReader struct {
	loop              *loop.Loop
	account, pipeline string
	id                string
	// version is the newest one.
	version int64
	now     time.Time
}

// read returns what happens in the stages of those names, or in all of the newest version if
// none is given. A PARALLEL pipeline has none.
func (s *stateReader) read(ctx context.Context, r store.Reader, names ...string) (StateView, error) {
	def, err := s.loop.Definition(ctx, r, s.id, s.version)
	if err != nil {
		return StateView{}, err
	}
	view := StateView{Version: s.version, Mode: def.Mode()}
	if len(names) == 0 && view.Mode == pipeline.Parallel {
		return view, nil
	}
	scope, err := s.loop.Scope(ctx, r, execution.ScopeKey{PipelineID: s.id})
	if err != nil {
		return StateView{}, err
	}
	rules, err := r.ApprovalRules(ctx, s.account, store.Page{})
	if err != nil {
		return StateView{}, err
	}
	if len(names) == 0 {
		for i := range def.Stages {
			names = append(names, def.Stages[i].Name)
		}
	}
	work, err := pendingWork(ctx, r, s.workOf(scope, names))
	if err != nil {
		return StateView{}, err
	}
	for _, name := range names {
		stage := stageView(scope, name)
		if declared := def.Stage(name); declared != nil {
			for _, gate := range engine.Gates(scope, declared, func(action string) []execution.Requirement {
				return approval.Requirements(rules, s.pipeline, name, action)
			}, work, s.now) {
				stage.Gates = append(stage.Gates, gateView(gate))
			}
		}
		view.Stages = append(view.Stages, stage)
	}
	return view, nil
}

// workOf returns what the executions in stages may wait for.
func (s *stateReader) workOf(scope *engine.Scope, stages []string) (ids []string) {
	for _, name := range stages {
		if holder, _ := scope.Occupants(name); holder != nil {
			ids = append(ids, engine.WorkOf(scope, holder.ID)...)
		}
	}
	return ids
}

func stageView(scope *engine.Scope, name string) StageView {
	state := scope.State.Stage(name)
	view := StageView{Name: name, Transition: state.Transition}
	holder, waiting := scope.Occupants(name)
	if holder != nil {
		occupant := occupantOf(holder)
		view.Holder = &occupant
	}
	for _, e := range waiting {
		view.Waiting = append(view.Waiting, occupantOf(e))
	}
	if state.Latest != nil {
		view.Latest = state.Latest.ExecutionID
	}
	if state.Succeeded != nil {
		view.Succeeded = state.Succeeded.ExecutionID
	}
	return view
}

func occupantOf(e *execution.Execution) Occupant {
	stage := e.Current()
	o := Occupant{
		ID: e.ID, Number: e.Number, Since: stage.StartedAt, Trigger: e.Trigger.Type, Principal: e.Trigger.Principal,
		Stopping: e.Stop != nil || e.Cancel != nil,
	}
	o.Revision, o.RevisionSummary = mainRevision(e)
	if stage.Waiting() {
		o.Since = stage.ArrivedAt
	}
	return o
}

func gateView(gate engine.Gate) GateView {
	view := GateView{Kind: gate.Kind, Action: gate.Action, Rule: gate.Rule, Condition: gate.Condition}
	for i, r := range gate.Requirements {
		view.Approvals = append(view.Approvals, GateApproval{Rule: r.Rule, Minimum: r.MinimumCount, Approved: gate.Approved[i]})
	}
	if gate.Execution == nil {
		return view
	}
	view.ExecutionID, view.Number = gate.Execution.ID, gate.Execution.Number
	view.Since, view.Until, view.Message, view.Ender = gate.Reason.Since, gate.Reason.Until, gate.Reason.Message, gate.Reason.Ender
	if gate.Reason.Wait != nil {
		view.ApprovalID = gate.Reason.Wait.ID()
	}
	return view
}
