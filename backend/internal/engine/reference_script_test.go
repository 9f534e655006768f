package engine_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// step takes one script line, as world does.
func (r *reference) step(line string) refusal {
	line, _, _ = strings.Cut(line, ` "`)
	words := strings.Fields(line)
	verb, args := words[0], words[1:]
	defer r.settle()
	switch verb {
	case "start":
		variables := make(map[string]string)
		for _, word := range args[1:] {
			name, value, _ := strings.Cut(word, "=")
			variables[name] = value
		}
		r.start(args[0], variables)
		return nil
	case "guard":
		r.guards[args[0]] = append(r.guards[args[0]], requirement(args[1:]))
		return nil
	case "require-rules":
		r.ruleRequired = args[0] == "on"
		return nil
	case "enable", "disable":
		r.transition(args[0], verb == "disable")
		return nil
	case "rollback":
		return r.rollback(args[0], r.numbered(args[1]))
	case "wait", "restart":
		return nil
	}
	return r.command(r.numbered(args[0]), verb, args[1:])
}

func (r *reference) numbered(word string) *refExecution {
	number, err := strconv.Atoi(word)
	if err != nil {
		panic(err) //nolint:forbidigo // The script is wrong.
	}
	return r.all[number-1]
}

// command takes a line that is about one execution.
func (r *reference) command(e *refExecution, verb string, args []string) refusal {
	switch verb {
	case "ok", "fail", "broken", "lost", "late", "again", "unanswered":
		r.reported(e, verb, args)
		return nil
	case "approve", "reject":
		args = append(args, "", "")
		return r.approve(e, args[0], verb == "approve", args[1], args[2])
	case "expire":
		if len(args) == 0 {
			r.expire(e, nil)
		} else if e.rule(args[0]) == nil {
			r.expire(e, e.action(args[0]))
		}
		return nil
	case "recheck":
		r.recheck(e)
		return nil
	case "stop", "abandon":
		return r.stop(e, verb == "abandon")
	case "retry":
		stage, mode := "", pipeline.RetryFailedActions
		for _, word := range args {
			if word == "all" {
				mode = pipeline.RetryAllActions
			} else {
				stage = word
			}
		}
		return r.retry(e, stage, mode)
	case "override":
		return r.override(e, args[0], pipeline.ConditionKind(strings.ReplaceAll(strings.ToUpper(args[1]), "-", "_")))
	}
	panic("no such input: " + verb) //nolint:forbidigo // The script is wrong.
}

// reported takes what a runner or a turn says.
func (r *reference) reported(e *refExecution, verb string, args []string) {
	if rule := e.rule(args[0]); rule != nil {
		switch {
		case verb == "again":
			r.ruleGoesOn(e, rule)
		case verb == "lost" && rule.polls():
			// No runner has it.
		case verb == "unanswered" && rule.status == pipeline.InProgress && rule.asked:
			rule.told = rule.polls()
			r.ruled(e, rule, false, true)
		default:
			r.ruled(e, rule, verb == "ok", verb == "lost" || verb == "broken" || verb == "unanswered")
		}
		return
	}
	a := e.action(args[0])
	attempt := a.attempt
	if a.work != pipeline.WorkAttempt {
		attempt = 0
	}
	switch verb {
	case "late":
		attempt, _ = strconv.Atoi(args[1])
		r.result(e, a, attempt, true)
	case "lost":
		r.lost(e, a, attempt)
	case "again":
		r.goesOn(e, a)
	case "unanswered":
		r.unanswered(e, a, attempt)
	default:
		r.result(e, a, attempt, verb == "ok")
	}
}

// action finds an action by its name, the newest of that name, or with "name#2"
// the second.
func (e *refExecution) action(name string) *refAction {
	var found []*refAction
	for _, s := range e.stages {
		for _, a := range s.actions {
			if a.def.Name == strings.Split(name, "#")[0] {
				found = append(found, a)
			}
		}
	}
	return which(found, name)
}

func (e *refExecution) rule(name string) *refRule {
	var found []*refRule
	for _, s := range e.stages {
		for _, c := range s.conditions {
			for _, rule := range c.rules {
				if rule.def.Name == strings.Split(name, "#")[0] {
					found = append(found, rule)
				}
			}
		}
	}
	return which(found, name)
}

func which[T any](found []*T, name string) *T {
	if _, place, numbered := strings.Cut(name, "#"); numbered && len(found) > 0 {
		i, _ := strconv.Atoi(place)
		return found[i-1]
	}
	if len(found) == 0 {
		return nil
	}
	return found[len(found)-1]
}

// settle is what holds between inputs beside what each does by itself.
func (r *reference) settle() {
	for _, def := range r.versions {
		for i := range def.Stages {
			r.giveWay(def.Stages[i].Name)
		}
	}
}

// waitsFor are the kinds of all that an execution waits for, sorted. Work that
// nobody took waits for a runner, and a turn is at work.
func (r *reference) waitsFor(e *refExecution) (kinds []string) {
	is := func(n int, kind engine.WaitKind) {
		for range n {
			kinds = append(kinds, string(kind))
		}
	}
	one := map[bool]int{true: 1}
	s := e.stage()
	at := r.place(s.def.Name)
	is(one[e.stopping], engine.WaitStopping)
	is(one[e.cancelling && !e.stopping], engine.WaitCancelling)
	is(one[!s.entered && at.closed], engine.WaitTransition)
	is(one[!s.entered && r.holder(s.def.Name) != nil], engine.WaitLock)
	is(len(e.openApprovals()), engine.WaitApproval)
	for _, a := range s.now() {
		is(one[a.status == pipeline.InProgress && a.work == pipeline.WorkAttempt], engine.WaitRunner)
		is(one[a.status == pipeline.InProgress && a.work == pipeline.WorkTurn], engine.WaitAction)
	}
	if c := s.condition(); c != nil && c.status == pipeline.InProgress {
		for _, rule := range c.rules {
			runs := rule.asked && rule.status == pipeline.InProgress
			is(one[runs && !rule.polls()], engine.WaitRunner)
			is(one[runs && rule.polls()], engine.WaitRule)
			is(one[rule.closed && rule.status == pipeline.InProgress], engine.WaitWindow)
		}
	}
	is(one[s.entered && s.phase == execution.PhaseActions && !e.halted() && s.count(pipeline.Failed) == 0 && len(s.missing()) > 0], engine.WaitActionLimit)
	slices.Sort(kinds)
	return kinds
}

// rows are the executions as a store would hold them, as far as the reference
// knows.
func (r *reference) rows() (all []*execution.Execution) {
	for _, e := range r.all {
		row := &execution.Execution{
			Number: e.number, Version: e.version, Mode: e.mode, Type: pipeline.TypeStandard, Attempt: e.attempt, Status: e.status,
		}
		if e.target != nil {
			row.Type, row.Rollback = pipeline.TypeRollback, &execution.Rollback{TargetNumber: e.target.number}
			row.Trigger.Type = execution.TriggerAutomatedRollback
			if e.manual {
				row.Trigger.Type = execution.TriggerManualRollback
			}
		}
		if e.cancelling {
			row.Cancel = &execution.Cancel{}
		}
		for _, s := range e.stages {
			row.Stages = append(row.Stages, s.row(r, e))
		}
		all = append(all, row)
	}
	return all
}

func (s *refStage) row(r *reference, e *refExecution) *execution.Stage {
	row := &execution.Stage{Name: s.def.Name, Position: s.place, Status: s.status}
	row.Arrival = int64(slices.Index(r.place(s.def.Name).queue, e))
	if s.entered {
		row.StartedAt = r.now
	}
	row.Phase, row.Retries = s.phase, &execution.Retries{Automatic: s.auto, Manual: s.manual}
	if s.entry != nil {
		row.Entry = &execution.Approval{Requirements: []execution.Requirement{{MinimumCount: s.entry.needs}}}
		for range s.entry.agreed {
			row.Entry.Decisions = append(row.Entry.Decisions, execution.ApprovalDecision{Approved: true})
		}
	}
	for _, c := range s.conditions {
		condition := &execution.Condition{Kind: c.kind, Status: c.status}
		for _, rule := range c.rules {
			condition.Rules = append(condition.Rules, &execution.Rule{Name: rule.def.Name, Status: rule.status})
		}
		row.Conditions = append(row.Conditions, condition)
	}
	for _, a := range s.actions {
		row.Actions = append(row.Actions, &execution.Action{Name: a.def.Name, Status: a.status, Attempt: a.attempt, Retried: a.retried})
	}
	return row
}

// abandons are the actions whose services are told to end their work.
func (r *reference) abandons() (all []string) {
	for _, e := range r.all {
		for _, s := range e.stages {
			for i, a := range s.actions {
				all = append(all, abandons(e.number, "action", s.def.Name, i, a.told, a.toldLate)...)
			}
			for i, c := range s.conditions {
				for _, rule := range c.rules {
					all = append(all, abandons(e.number, "rule "+rule.def.Name, s.def.Name, i, rule.told, rule.toldLate)...)
				}
			}
		}
	}
	return all
}

// abandons names what a service is told of an action or rule.
func abandons(number int64, what, stage string, i int, told, late bool) (all []string) {
	name := fmt.Sprintf("%s %d of stage %s of %d", what, i, stage, number)
	if told {
		all = append(all, name)
	}
	if late {
		all = append(all, name+" late")
	}
	return all
}

// state is what a store would hold of the stages.
func (r *reference) state() *execution.PipelineState {
	state := &execution.PipelineState{Stages: make(map[string]*execution.StageState)}
	passage := func(e *refExecution) *execution.Passage {
		if e == nil {
			return nil
		}
		return &execution.Passage{Number: e.number, Version: e.version}
	}
	for name, at := range r.places {
		state.Stages[name] = &execution.StageState{
			Transition: &execution.Transition{Disabled: at.closed}, Latest: passage(at.latest), Succeeded: passage(at.succeeded),
		}
	}
	return state
}

func stageNames() []string { return []string{"A", "B", "C", "D", "E"} }
