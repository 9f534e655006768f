package engine_test

import (
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Approvals.

func (r *reference) approval(rules []execution.Requirement, timeout time.Duration) *refApproval {
	if timeout == 0 {
		timeout = 7 * 24 * time.Hour
	}
	a := &refApproval{guarded: len(rules) > 0, needs: 1, supersede: len(rules) > 0}
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
		if stage != "" && name == "" && i >= 0 {
			continue // A stage alone is its entry.
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
	if !a.guarded && who == e.starter {
		return refusal{engine.ErrNotEligible}
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
