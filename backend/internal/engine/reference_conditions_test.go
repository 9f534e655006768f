package engine_test

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Conditions.

// check begins the check of a condition, or goes on where the stage has none.
func (r *reference) check(e *refExecution, kind pipeline.ConditionKind) {
	s := e.stage()
	s.phase = map[pipeline.ConditionKind]execution.Phase{
		pipeline.ConditionBeforeEntry: execution.PhaseBeforeEntry, pipeline.ConditionOnSuccess: execution.PhaseOnSuccess,
		pipeline.ConditionOnFailure: execution.PhaseOnFailure,
	}[kind]
	def := s.def.Condition(kind)
	if def == nil {
		r.checked(e, kind, pipeline.Succeeded, "")
		return
	}
	c := &refCondition{kind: kind, result: def.Result, status: pipeline.InProgress}
	for i := range def.Rules {
		rule := &refRule{def: &def.Rules[i], status: pipeline.InProgress}
		timeout := 60 * 24 * time.Hour
		if rule.def.TimeoutInMinutes > 0 {
			timeout = time.Duration(rule.def.TimeoutInMinutes) * time.Minute
		}
		rule.deadline = r.now.Truncate(time.Microsecond).Add(timeout)
		c.rules = append(c.rules, rule)
	}
	s.conditions = append(s.conditions, c)
	if kind == pipeline.ConditionBeforeEntry && e.skips().SkipConditions {
		c.status, c.rules = pipeline.Skipped, nil
		r.checked(e, kind, pipeline.Succeeded, "")
		return
	}
	r.recheck(e)
}

// waits tells whether a condition still waits for its windows.
func (c *refCondition) waits() bool {
	return c != nil && c.status == pipeline.InProgress && slices.ContainsFunc(c.rules, func(rule *refRule) bool {
		return rule.def.Provider == ruleWindow && rule.status == pipeline.InProgress
	})
}

// asked tells whether commands of the condition run or ran.
func (c *refCondition) asked() bool {
	return slices.ContainsFunc(c.rules, func(rule *refRule) bool { return rule.asked })
}

// recheck looks at the windows, and once they are all open at the rest.
func (r *reference) recheck(e *refExecution) {
	c := e.stage().condition()
	if !e.live() || c == nil || c.status != pipeline.InProgress || c.asked() {
		return
	}
	closed, late := false, false
	for _, rule := range c.rules {
		if rule.def.Provider != ruleWindow || e.skips().SkipConditions {
			continue
		}
		opens, ever := opening(rule.def, r.now)
		rule.closed = !ever || opens.After(r.now)
		closed = closed || rule.closed
		if !ever || !r.now.Before(rule.deadline) {
			late = true
		}
	}
	if closed {
		for _, rule := range c.rules {
			// It may also be another that is closed.
			if _, ever := opening(rule.def, r.now); rule.def.Provider == ruleWindow && (!ever || !r.now.Before(rule.deadline)) {
				rule.status = pipeline.Failed
			}
		}
		if late {
			r.judge(e)
		}
		return
	}
	failed := false
	for _, rule := range c.rules {
		switch rule.def.Provider {
		case ruleWindow:
			rule.status = pipeline.Succeeded
		case ruleCommands, rulePoll:
			continue
		case ruleVariable:
			name := strings.TrimSuffix(strings.TrimPrefix(rule.def.Configuration["Variable"], "#{variables."), "}")
			value, known := e.variables[name]
			rule.status, rule.errored = pipeline.Failed, !known
			if value == rule.def.Configuration["Value"] && known {
				rule.status = pipeline.Succeeded
			}
		default:
			rule.status, rule.errored = pipeline.Failed, true
		}
		failed = failed || rule.status == pipeline.Failed
	}
	// Commands are not started where another rule has failed, nor is a service asked.
	for _, rule := range c.rules {
		rule.asked = !failed && (rule.def.Provider == ruleCommands || rule.polls())
		if rule.polls() {
			// Its time begins when it is asked.
			rule.deadline = r.now.Truncate(time.Microsecond).Add(time.Hour)
		}
	}
	r.judge(e)
}

// opening is the first moment from now on at which a window is open.
func opening(rule *pipeline.Rule, now time.Time) (time.Time, bool) {
	var from, to int
	if _, err := fmt.Sscanf(rule.Configuration["Cron"], "* * %d-%d ? * MON-FRI", &from, &to); err != nil {
		return time.Time{}, false
	}
	for t := now.UTC(); ; t = t.Truncate(time.Hour).Add(time.Hour) {
		if day := t.Weekday(); t.Hour() >= from && t.Hour() <= to && day != time.Saturday && day != time.Sunday {
			return t, true
		}
	}
}

// judge ends a condition once none of its rules runs: all of them must succeed.
func (r *reference) judge(e *refExecution) {
	c := e.stage().condition()
	failed, errored := false, false
	for _, rule := range c.rules {
		if rule.asked && rule.status == pipeline.InProgress {
			return
		}
		failed = failed || rule.status == pipeline.Failed
		errored = errored || rule.errored
	}
	c.status = pipeline.Succeeded
	switch {
	case e.halted():
		c.status = pipeline.Cancelled
	case errored:
		c.status = pipeline.Errored
	case failed:
		c.status = pipeline.Failed
	}
	c.rest()
	if e.halted() {
		r.halt(e)
		return
	}
	r.checked(e, c.kind, c.status, c.result)
	r.progress(e)
}

// rest abandons the rules that nobody waits for any more.
func (c *refCondition) rest() {
	for _, rule := range c.rules {
		if rule.status == pipeline.InProgress {
			rule.abandoned()
		}
	}
}

// abandoned ends a rule that nobody waits for any more.
func (rule *refRule) abandoned() {
	rule.status = pipeline.Abandoned
	rule.told = rule.asked && rule.polls()
}

// checked: what follows from a condition. One that could not be checked fails the
// stage and has no other result.
func (r *reference) checked(e *refExecution, kind pipeline.ConditionKind, status pipeline.Status, result pipeline.Result) {
	met := status == pipeline.Succeeded
	unmet := status == pipeline.Failed
	switch {
	case kind == pipeline.ConditionBeforeEntry && met:
		e.stage().phase = execution.PhaseActions
	case kind == pipeline.ConditionBeforeEntry && unmet && result == pipeline.ResultSkip:
		r.leave(e, pipeline.Skipped)
	case kind == pipeline.ConditionOnSuccess && met:
		r.leave(e, pipeline.Succeeded)
	case kind == pipeline.ConditionOnSuccess:
		r.fail(e, unmet && result == pipeline.ResultRollback)
	case kind == pipeline.ConditionOnFailure:
		r.fail(e, met && result == pipeline.ResultRollback)
	default:
		r.fail(e, false)
	}
}
