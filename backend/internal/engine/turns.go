package engine

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// defaultTurnTimeout is the timeout of an action type that runs in turns and declares
// none: nothing runs forever.
const defaultTurnTimeout = time.Hour

// inTurns is an action or a rule that runs in turns.
type inTurns struct {
	e     *execution.Execution
	stage *execution.Stage
	id    string
	began time.Time
	// The fields of the record, which are the same of both.
	summary, externalID, externalURL *string
	state                            *[]byte
	// deadline is when the work times out.
	deadline time.Time
	// action is nil for a rule, and rule for an action.
	action *execution.Action
	rule   *execution.Rule
}

// actionInTurns returns an action that runs in turns. Its deadline follows from the version
// that its execution is pinned to: a stored one would be written with every change of the action.
func (d *decision) actionInTurns(e *execution.Execution, stage *execution.Stage, a *execution.Action) *inTurns {
	declared := d.declared(e, stage).Action(a.Name)
	kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
	return &inTurns{
		e: e, stage: stage, id: a.ID, began: a.StartedAt, action: a, summary: &a.Details.Summary,
		externalID: &a.Details.ExternalID, externalURL: &a.Details.ExternalURL, state: &a.Details.State,
		deadline: a.StartedAt.Add(cmp.Or(timeout(declared, kind), defaultTurnTimeout)),
	}
}

func ruleInTurns(e *execution.Execution, stage *execution.Stage, r *execution.Rule) *inTurns {
	return &inTurns{
		e: e, stage: stage, id: r.ID, began: r.StartedAt, rule: r, summary: &r.Summary,
		externalID: &r.ExternalID, externalURL: &r.ExternalURL, state: &r.State, deadline: r.Deadline,
	}
}

// findInTurns finds what still runs in turns under that id, or nil.
func (d *decision) findInTurns(executionID, id string) *inTurns {
	if e, stage, a := d.findRunning(executionID, id, 0); a != nil {
		return d.actionInTurns(e, stage, a)
	}
	if e, stage, r := d.findRunningRule(executionID, id, 0); r != nil {
		return ruleInTurns(e, stage, r)
	}
	return nil
}

// startTurns begins work that runs in turns.
func (d *decision) startTurns(w *inTurns, resolved pipeline.Action, inputs []action.Artifact) {
	d.change.Turns = append(d.change.Turns, d.turn(w, work(w, resolved, inputs), 0))
}

// turn returns the next turn of work, after a delay but not after its deadline. The turn
// at the deadline is the last: its executor may find that the work has ended.
func (d *decision) turn(w *inTurns, work *action.Turn, delay time.Duration) *execution.Turn {
	due := d.now.Add(delay)
	if w.deadline.Before(due) && !w.deadline.IsZero() {
		due = w.deadline
	}
	return &execution.Turn{ID: w.id, Kind: execution.TurnAction, Scope: d.scope.Key, ExecutionID: w.e.ID, DueAt: due, Work: work}
}

// work is what an executor is given.
func work(w *inTurns, resolved pipeline.Action, inputs []action.Artifact) *action.Turn {
	return &action.Turn{
		Scope: scopeOf(w.e, w.stage, w.id), State: *w.state, Action: resolved, Inputs: inputs, Deadline: w.deadline,
	}
}

// workOf returns what the executor of work is given next. The error is that of a reference
// that cannot be resolved any more, beside what the work began with.
func (d *decision) workOf(w *inTurns) (*action.Turn, error) {
	if w.rule != nil {
		return d.workOfRule(w)
	}
	declared := d.declared(w.e, w.stage).Action(w.action.Name)
	resolved, err := d.resolve(w.e, declared)
	if err != nil {
		resolved = *declared
		resolved.Configuration = w.action.Details.Configuration
	}
	return work(w, resolved, w.action.Details.Inputs), err
}

func (d *decision) workOfRule(w *inTurns) (*action.Turn, error) {
	c := checked(w.stage)
	i := slices.Index(c.Rules, w.rule)
	declared := &d.declared(w.e, w.stage).Condition(c.Kind).Rules[i]
	kind, _ := d.scope.Catalog.Lookup(declared.TypeID())
	resolved, err := pipeline.ResolveRule(*declared, &kind, lookup(w.e))
	if err != nil {
		resolved = *declared
		resolved.Configuration = w.rule.Configuration
	}
	taken, lost := inputs(w.e, declared.InputArtifacts)
	return work(w, pipeline.RuleAction(resolved, &kind), taken), cmp.Or(err, lost)
}

// again plans the next turn of work whose executor answered that it goes on. At the
// deadline that answer ends the work. If nothing waits for the work any more, it is
// abandoned with the state of this answer.
func (d *decision) again(in Again) {
	w := d.findInTurns(in.ExecutionID, in.ActionExecutionID)
	if w == nil {
		d.abandonLate(in)
		return
	}
	d.note(w, in.Again)
	if d.overdue(w) {
		d.timeOut(w)
		return
	}
	work, err := d.workOf(w)
	if err != nil {
		d.abandonWork(w)
		d.endTurns(w, action.Failed(action.ConfigurationError, "%s", err))
		return
	}
	d.change.Turns = append(d.change.Turns, d.turn(w, work, in.Again.Delay))
}

// endTurns ends what ran in turns, and lets its execution go on.
func (d *decision) endTurns(w *inTurns, result action.Result) {
	if w.rule != nil {
		d.endRunningRule(w.e, w.stage, w.rule, result)
		return
	}
	d.endAction(w.e, w.stage, w.action, result)
	d.advance(w.e)
}

// note keeps what an executor tells of its work while it runs. It tells of the name that
// the work of an action has elsewhere when that is new.
func (d *decision) note(w *inTurns, again action.Again) {
	if len(again.State) == 0 {
		// A store does not tell an empty one from none.
		again.State = nil
	}
	id, url := cmp.Or(again.ExternalID, *w.externalID), cmp.Or(again.ExternalURL, *w.externalURL)
	summary := cmp.Or(again.Summary, *w.summary)
	linked := id != *w.externalID || url != *w.externalURL
	if !linked && summary == *w.summary && bytes.Equal(again.State, *w.state) {
		return
	}
	*w.externalID, *w.externalURL, *w.summary, *w.state = id, url, summary, again.State
	if w.rule != nil {
		d.stageChanged(w.e, w.stage)
		return
	}
	d.actionChanged(w.e, w.action)
	if linked {
		ev := d.actionEvent(w.stage, w.action, execution.EventLinked)
		ev.Message = elsewhere(id, url)
		d.event(w.e, ev)
	}
}

// elsewhere names work in the service that does it, empty if that is not known.
func elsewhere(id, url string) string { return strings.TrimSpace(id + " " + url) }

// overdue reports whether work that runs in turns has reached its deadline.
func (d *decision) overdue(w *inTurns) bool {
	return !w.deadline.IsZero() && !d.now.Before(w.deadline)
}

// timeOut ends work that has reached its deadline.
func (d *decision) timeOut(w *inTurns) {
	d.abandonWork(w)
	what := "action"
	if w.rule != nil {
		what = "rule"
	}
	d.endTurns(w, action.Failed(action.TimedOut, "the %s ran longer than its timeout of %s; its work is abandoned. Make it faster or raise timeout_in_minutes",
		what, w.deadline.Sub(w.began)))
}

// abandonWork tells the service that does work to end it. It is called where the work ends
// for Headrace without its executor's own answer.
func (d *decision) abandonWork(w *inTurns) {
	// What cannot be resolved any more is told as it began.
	work, _ := d.workOf(w)
	d.abandonTurn(execution.AbandonTurnID(w.id), work)
}

// abandonTurns abandons what runs in turns in a stage.
func (d *decision) abandonTurns(e *execution.Execution, stage *execution.Stage, why string) {
	for _, a := range stage.Actions {
		if a.Status == pipeline.InProgress && a.Work == pipeline.WorkTurn {
			d.abandonAction(e, stage, a, why)
		}
	}
	c := checked(stage)
	if c == nil {
		return
	}
	for _, r := range c.Rules {
		if r.Status == pipeline.InProgress && r.Work == pipeline.WorkTurn {
			d.abandonRule(e, stage, r, why)
			d.stageChanged(e, stage)
		}
	}
}

// abandonLate abandons the work of a turn that was under way when its action or rule
// ended: it may have begun what the first abandon did not find.
func (d *decision) abandonLate(in Again) {
	if in.Turn == nil {
		return
	}
	late := *in.Turn
	late.State = in.Again.State
	d.abandonTurn(execution.LateAbandonTurnID(in.ActionExecutionID), &late)
}

func (d *decision) abandonTurn(id string, work *action.Turn) {
	d.change.Turns = append(d.change.Turns, &execution.Turn{
		ID: id, Kind: execution.TurnAbandon, DueAt: d.now, Work: work, Abandon: &execution.Abandon{Since: d.now},
	})
}

// AbandonTurns returns the ids of the turns that may be pending to abandon work of an
// execution.
func AbandonTurns(e *execution.Execution) []string {
	var ids []string
	ended := func(work pipeline.Work, status pipeline.Status, id string) {
		if work == pipeline.WorkTurn && (status == pipeline.Abandoned || status == pipeline.Failed) {
			ids = append(ids, execution.AbandonTurnID(id), execution.LateAbandonTurnID(id))
		}
	}
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			ended(a.Work, a.Status, a.ID)
		}
		for _, c := range stage.Conditions {
			for _, r := range c.Rules {
				ended(r.Work, r.Status, r.ID)
			}
		}
	}
	return ids
}

// Unconfirmed says which work of an execution its service has not confirmed to have ended,
// by the turns that are pending of AbandonTurns.
func Unconfirmed(e *execution.Execution, pending []*execution.Turn) []string {
	names := make(map[string]string)
	for _, stage := range e.Stages {
		for _, a := range stage.Actions {
			names[a.ID] = elsewhere(a.Details.ExternalID, a.Details.ExternalURL)
		}
		for _, c := range stage.Conditions {
			for _, r := range c.Rules {
				names[r.ID] = elsewhere(r.ExternalID, r.ExternalURL)
			}
		}
	}
	var notes []string
	for _, turn := range pending {
		what := "action "
		if turn.Work.Action.Category == pipeline.CategoryRule {
			what = "rule "
		}
		what += turn.Work.Action.Name + " of stage " + turn.Work.Stage
		if name := names[turn.Work.ActionExecutionID]; name != "" {
			what += " (" + name + ")"
		}
		note := what + " is being abandoned"
		switch {
		case !turn.Abandon.GivenUpAt.IsZero():
			note = fmt.Sprintf("the server gave up abandoning %s at %s; it may still run and cost money, so end it in the service; the last error was: %s",
				what, clock(turn.Abandon.GivenUpAt), turn.Abandon.Error)
		case turn.Abandon.Tries > 0:
			note = fmt.Sprintf("the service has not confirmed that %s was abandoned: %s; next try at %s", what, turn.Abandon.Error, clock(turn.DueAt))
		}
		notes = append(notes, note)
	}
	return notes
}
