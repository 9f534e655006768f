package engine

import (
	"fmt"
	"maps"
	"slices"
	"strings"

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
	case target.Mode == pipeline.Parallel:
		return unable("execution %d ran in PARALLEL mode, in which stages cannot be rolled back", target.Number)
	case !succeededIn(target, in.Stage):
		return fmt.Errorf("%w: execution %d did not succeed in stage %s", ErrOutdated, target.Number, in.Stage)
	case holder != nil:
		return unable("execution %d is in stage %s; wait for it, or stop it", holder.Number, in.Stage)
	}
	if changed := d.changed(in.Stage, target.Version, in.Newest); changed != "" {
		return unable("%s; choose an execution that ran the stage as it is now, or start a new execution", changed)
	}
	if err := checkOutputsKept(target); err != nil {
		return fmt.Errorf("%w; choose a later one", err)
	}
	d.startRollback(rollback{
		target: target, stage: in.Stage, version: in.Newest,
		trigger: execution.Trigger{Type: execution.TriggerManualRollback, Principal: in.Principal},
	})
	return nil
}

// changed says what differs for a stage between the version of an earlier success and
// the version that would roll back to it. It returns nothing if the success is usable.
func (d *decision) changed(stage string, before, after int64) string {
	if before == after {
		return ""
	}
	changes := pipeline.StageChanges(d.scope.Catalog, d.scope.Definition(before), d.scope.Definition(after), stage)
	if len(changes) == 0 {
		return ""
	}
	more := ""
	if len(changes) > maxChanges {
		more = fmt.Sprintf("; and %d more", len(changes)-maxChanges)
		changes = changes[:maxChanges]
	}
	return fmt.Sprintf("stage %s changed between version %d and version %d: %s%s", stage, before, after, strings.Join(changes, "; "), more)
}

// maxChanges bounds the changes that one refusal names.
const maxChanges = 5

// skips returns the gates that an execution passes without waiting. Only automatic
// rollbacks skip any. One that a person retries stays automatic: what failed is still
// deployed.
func (d *decision) skips(e *execution.Execution, stage *execution.Stage) pipeline.OnRollback {
	if e.Type != pipeline.TypeRollback || e.Trigger.Type != execution.TriggerAutomatedRollback {
		return pipeline.OnRollback{}
	}
	return d.declared(e, stage).OnRollback
}

// skippedBy says in the history why a gate was not waited for.
func skippedBy(stage *execution.Stage) string {
	return "skipped by on_rollback of stage " + stage.Name
}

// skippedApproval records whom nobody asked.
func skippedApproval(stage *execution.Stage, requirements []execution.Requirement) *execution.Approval {
	skipped := skippedBy(stage)
	var rules []string
	for _, r := range requirements {
		rules = append(rules, r.Rule)
	}
	if len(rules) > 0 {
		skipped += " (rule " + strings.Join(rules, ", ") + ")"
	}
	return &execution.Approval{Requirements: slices.Clone(requirements), Skipped: skipped}
}

func succeededIn(e *execution.Execution, name string) bool {
	return slices.ContainsFunc(e.Stages, func(s *execution.Stage) bool { return s.Name == name && s.Status == pipeline.Succeeded })
}

// automaticTarget returns what a stage that fails is rolled back to: the release that it
// had before, if the stage is unchanged since. Otherwise it says why there is none. If no
// action ran, the stage still has that release, and a rollback would deploy again what
// nobody asked for.
func (d *decision) automaticTarget(e *execution.Execution, stage *execution.Stage) (target *execution.Execution, note string) {
	if e.Type == pipeline.TypeRollback {
		return nil, "; a rollback is not rolled back"
	}
	if stage.Position == 0 {
		return nil, "; the first stage is not rolled back"
	}
	if !hasRun(stage) {
		return nil, "; it is not rolled back, because no action of the stage ran"
	}
	last := d.stageState(stage.Name).Succeeded
	if last == nil {
		return nil, "; there is no earlier success of the stage to roll back to"
	}
	if changed := d.changed(stage.Name, last.Version, e.Version); changed != "" {
		return nil, fmt.Sprintf("; it is not rolled back to execution %d: %s", last.Number, changed)
	}
	if target = d.scope.Load(last.ExecutionID); target == nil {
		return nil, fmt.Sprintf("; execution %d, which it would be rolled back to, is gone", last.Number)
	}
	if err := checkOutputsKept(target); err != nil {
		return nil, "; it is not rolled back: " + err.Error()
	}
	return target, ""
}

// rollback is the rollback of one stage that is about to start.
type rollback struct {
	target *execution.Execution
	stage  string
	// version is the one whose stage runs: of the execution that failed, or the newest
	// if a person asks. The stage is the same in the version of the target.
	version int64
	trigger execution.Trigger
	// failed is nil unless the rollback is automatic.
	failed *execution.Execution
	// id and number are set if they were announced before.
	id     string
	number int64
}

// startRollback lets an execution into a stage with what the target had there. It
// does not come through the transition, and it enters before anyone who waits.
func (d *decision) startRollback(r rollback) {
	if r.id == "" {
		r.id, r.number = d.scope.NewRollback()
	}
	target, def := r.target, d.scope.Definition(r.version)
	r.trigger.Detail = target.ID
	e := &execution.Execution{
		ID: r.id, Account: target.Account, PipelineID: target.PipelineID, Pipeline: target.Pipeline, Number: r.number,
		Version: r.version, Mode: def.Mode(), Type: pipeline.TypeRollback, Trigger: r.trigger,
		Variables: maps.Clone(target.Variables), Revisions: slices.Clone(target.Revisions),
	}
	// The stages before the one that is rolled back, in the version of the target: what
	// they left is what the stage used then.
	before := *target
	before.Stages = nil
	for _, stage := range target.Stages {
		if stage.Name == r.stage {
			break
		}
		before.Stages = append(before.Stages, stage)
	}
	e.Rollback = &execution.Rollback{
		TargetID: target.ID, TargetNumber: target.Number, TargetVersion: target.Version,
		Artifacts: produced(&before), Variables: outputs(&before),
	}
	if r.failed != nil {
		e.Rollback.FailedID, e.Rollback.FailedNumber = r.failed.ID, r.failed.Number
		e.Rollback.FailedPrincipal, e.Rollback.FailedReplayedBy = r.failed.Starter()
	}
	d.begin(e)
	d.newStage(e, slices.IndexFunc(def.Stages, func(s pipeline.Stage) bool { return s.Name == r.stage }))
	d.enter(e)
	d.advance(e)
}
