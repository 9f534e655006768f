package engine_test

import (
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

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
				a.abandoned()
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
// soon as nothing runs any more, and work of services is abandoned. Those in line go
// first: none of them enters.
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
		if e.cancelling {
			continue
		}
		e.cancelling = true
		for _, a := range e.stage().now() {
			if a.status == pipeline.InProgress && a.work == pipeline.WorkTurn {
				a.abandoned()
			}
		}
		if c := e.stage().condition(); c != nil && c.status == pipeline.InProgress {
			for _, rule := range c.rules {
				if rule.asked && rule.polls() && rule.status == pipeline.InProgress {
					rule.abandoned()
				}
			}
			if c.asked() {
				r.judge(e)
				continue
			}
		}
		if e.stopping {
			r.progress(e)
			continue
		}
		r.endWaits(e, false)
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
	if newest.Mode() == pipeline.Parallel || target.mode == pipeline.Parallel || !sameStage(target.def, newest, name) ||
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
	r.rollBack(r.newest(), name, target, "ann", true)
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
