package engine

import (
	"fmt"
	"maps"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// rollBack starts the rollback of a stage that somebody asks for (CodePipeline 3.8).
func (d *decision) rollBack(in Rollback) error {
	target := in.Target
	def := d.scope.Definition(in.Newest)
	position := slices.IndexFunc(def.Stages, func(s pipeline.Stage) bool { return s.Name == in.Stage })
	unable := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrUnableToRollback, fmt.Sprintf(format, args...))
	}
	holder, _ := d.scope.Occupants(in.Stage)
	switch {
	case position < 0:
		return fmt.Errorf("%w: version %d has no stage %q", ErrStageNotFound, in.Newest, in.Stage)
	case def.Mode() == pipeline.Parallel:
		return unable("executions of a PARALLEL pipeline are not rolled back")
	case position == 0:
		return unable("%s is the source stage", in.Stage)
	case target.PipelineID != d.scope.Key.PipelineID:
		return unable("execution %s is of another pipeline, %s", target.ID, target.Pipeline)
	case target.Type == pipeline.TypeRollback:
		return fmt.Errorf("%w: execution %d is a rollback itself; name the execution that it went back to, %d",
			ErrOutdated, target.Number, target.Rollback.TargetNumber)
	case target.Version != in.Newest:
		return unable("the definition changed: execution %d ran version %d, the newest is %d", target.Number, target.Version, in.Newest)
	case !succeededIn(target, in.Stage):
		return fmt.Errorf("%w: execution %d did not succeed in stage %s", ErrOutdated, target.Number, in.Stage)
	case holder != nil:
		return unable("execution %d is in stage %s; wait for it, or stop it", holder.Number, in.Stage)
	}
	if err := stillWhole(target); err != nil {
		return fmt.Errorf("%w; choose a later one", err)
	}
	id, number := d.scope.NewRollback()
	d.startRollback(id, number, target, position, execution.Trigger{Type: execution.TriggerManualRollback, Principal: in.Principal})
	return nil
}

func succeededIn(e *execution.Execution, name string) bool {
	return slices.ContainsFunc(e.Stages, func(s *execution.Stage) bool { return s.Name == name && s.Status == pipeline.Succeeded })
}

// automaticTarget returns what a stage that fails is rolled back to: its last
// success under the same version. Where there is none it says so.
func (d *decision) automaticTarget(e *execution.Execution, stage *execution.Stage) (target *execution.Execution, note string) {
	if e.Type == pipeline.TypeRollback {
		return nil, "; a rollback is not rolled back"
	}
	if stage.Position == 0 {
		return nil, "; the first stage is not rolled back"
	}
	last := d.stageState(stage.Name).Succeeded
	if last == nil || last.Version != e.Version {
		return nil, fmt.Sprintf("; there is no success of the stage under version %d to roll back to", e.Version)
	}
	if target = d.scope.Load(last.ExecutionID); target == nil {
		return nil, fmt.Sprintf("; execution %d, which it would be rolled back to, is gone", last.Number)
	}
	if err := stillWhole(target); err != nil {
		return nil, "; it is not rolled back: " + err.Error()
	}
	return target, ""
}

// startRollback lets an execution into a stage with what the target had there. It
// does not come through the transition, and nobody who waits goes before it.
func (d *decision) startRollback(id string, number int64, target *execution.Execution, position int, trigger execution.Trigger) {
	trigger.Detail = target.ID
	e := &execution.Execution{
		ID: id, Account: target.Account, PipelineID: target.PipelineID, Pipeline: target.Pipeline, Number: number,
		Version: target.Version, Mode: target.Mode, Type: pipeline.TypeRollback, Trigger: trigger,
		Variables: maps.Clone(target.Variables), Revisions: slices.Clone(target.Revisions),
	}
	before := *target
	before.Stages = nil
	for _, stage := range target.Stages {
		if stage.Position < position {
			before.Stages = append(before.Stages, stage)
		}
	}
	e.Rollback = &execution.Rollback{
		TargetID: target.ID, TargetNumber: target.Number, Artifacts: produced(&before), Variables: outputs(&before),
	}
	d.begin(e)
	d.newStage(e, position)
	d.enter(e)
	d.advance(e)
}
