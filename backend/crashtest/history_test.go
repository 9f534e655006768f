package crashtest

import (
	"fmt"
	"slices"
	"strings"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// maxLost is how often an action is tried whose runner is lost.
const maxLost = 3

// history is an execution as its events tell it. Statuses are the words of
// ExecutionStatus, and LOST for an action between two attempts.
type history struct {
	declared []*headracev1.Stage
	position int64
	status   string
	attempt  int32
	stages   []*stageHistory
	// lost counts the lost attempts, by action.
	lost map[string]int
}

type stageHistory struct {
	declared  *headracev1.Stage
	status    string
	condition string
	actions   []*actionHistory
}

type actionHistory struct {
	id, name string
	attempt  int32
	status   string
	code     string
	// stopping is set where it ended while its execution was being stopped.
	stopping bool
}

// edge is a change of status that an event tells of: from one of some to another.
type edge struct {
	from []string
	to   string
}

// edges returns the changes that may be, by the state of the event.
func edges(subject headracev1.EventSubject) map[string]edge {
	live := []string{"IN_PROGRESS"}
	stopping := []string{"STOPPING"}
	ended := []string{"FAILED", "STOPPED"}
	switch subject {
	case headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION:
		return map[string]edge{
			"STARTED": {[]string{""}, "IN_PROGRESS"}, "RESUMED": {ended, "IN_PROGRESS"},
			"SUCCEEDED": {live, "SUCCEEDED"}, "FAILED": {live, "FAILED"}, "SUPERSEDED": {live, "SUPERSEDED"},
			"STOPPING": {live, "STOPPING"}, "STOPPED": {stopping, "STOPPED"},
		}
	case headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION:
		return map[string]edge{
			// An automatic retry is within the stage, one by hand after its end.
			"STARTED": {[]string{""}, "IN_PROGRESS"}, "RESUMED": {append(ended, "IN_PROGRESS"), "IN_PROGRESS"},
			"SUCCEEDED": {live, "SUCCEEDED"}, "FAILED": {live, "FAILED"},
			"STOPPING": {live, "STOPPING"}, "STOPPED": {stopping, "STOPPED"},
		}
	case headracev1.EventSubject_EVENT_SUBJECT_ACTION_EXECUTION:
		return map[string]edge{
			"STARTED": {[]string{"", "LOST"}, "IN_PROGRESS"}, "LOST": {live, "LOST"},
			"SUCCEEDED": {live, "SUCCEEDED"}, "FAILED": {append(live, "LOST"), "FAILED"}, "ABANDONED": {live, "ABANDONED"},
			"APPROVED": {live, "IN_PROGRESS"}, "REJECTED": {live, "IN_PROGRESS"},
		}
	case headracev1.EventSubject_EVENT_SUBJECT_CONDITION:
		return map[string]edge{"STARTED": {[]string{""}, "IN_PROGRESS"}, "SUCCEEDED": {live, "SUCCEEDED"}}
	case headracev1.EventSubject_EVENT_SUBJECT_UNSPECIFIED:
	}
	return nil
}

func terminal(status string) bool {
	return status != "" && status != "IN_PROGRESS" && status != "STOPPING" && status != "LOST"
}

// word is the word of a status.
func word(status headracev1.ExecutionStatus) string {
	return strings.TrimPrefix(status.String(), "EXECUTION_STATUS_")
}

// replay adds the events of an execution up, which has the stages declared, and says
// what cannot be.
func replay(declared []*headracev1.Stage, events []*headracev1.Event) (*history, error) {
	h := &history{declared: declared, lost: make(map[string]int)}
	for _, ev := range events {
		if err := h.add(ev); err != nil {
			return nil, fmt.Errorf("at %v: %w", ev, err)
		}
	}
	if !terminal(h.status) {
		return nil, fmt.Errorf("after %d events it is %q", len(events), h.status)
	}
	return h, nil
}

func (h *history) add(ev *headracev1.Event) error {
	if ev.GetPosition() <= h.position {
		return fmt.Errorf("it comes after position %d", h.position)
	}
	h.position = ev.GetPosition()
	isExecution := ev.GetSubject() == headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION
	if !isExecution && terminal(h.status) {
		return fmt.Errorf("the execution has ended: %s", h.status)
	}
	var err error
	switch ev.GetSubject() {
	case headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION:
		err = h.addExecution(ev)
	case headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION:
		err = h.addStage(ev)
	default:
		stage := h.current()
		switch {
		case stage == nil || stage.declared.GetName() != ev.GetStage() || terminal(stage.status):
			err = fmt.Errorf("the execution is not in stage %s", ev.GetStage())
		case ev.GetSubject() == headracev1.EventSubject_EVENT_SUBJECT_CONDITION:
			err = move(&stage.condition, ev)
		default:
			err = h.addAction(stage, ev)
		}
	}
	if err == nil && ev.GetExecutionAttempt() != h.attempt {
		err = fmt.Errorf("the attempt of the execution is %d", h.attempt)
	}
	return err
}

// move changes a status as an event says, if it may.
func move(status *string, ev *headracev1.Event) error {
	e, known := edges(ev.GetSubject())[ev.GetState()]
	if !known || !slices.Contains(e.from, *status) {
		return fmt.Errorf("%s cannot follow %q", ev.GetState(), *status)
	}
	*status = e.to
	return nil
}

func (h *history) current() *stageHistory {
	if len(h.stages) == 0 {
		return nil
	}
	return h.stages[len(h.stages)-1]
}

func (h *history) addExecution(ev *headracev1.Event) error {
	if err := move(&h.status, ev); err != nil {
		return err
	}
	stage := h.current()
	inside := stage != nil && !terminal(stage.status)
	switch ev.GetState() {
	case "STARTED", "RESUMED":
		h.attempt++
	case "SUCCEEDED":
		if len(h.stages) != len(h.declared) || stage.status != "SUCCEEDED" {
			return fmt.Errorf("it is through %d stages of %d", len(h.stages), len(h.declared))
		}
	case "FAILED":
		if stage == nil || stage.status != "FAILED" {
			return fmt.Errorf("no stage failed")
		}
	case "STOPPED", "SUPERSEDED":
		if inside {
			return fmt.Errorf("it is inside of stage %s", stage.declared.GetName())
		}
	}
	return nil
}

func (h *history) addStage(ev *headracev1.Event) error {
	if ev.GetState() == "STARTED" {
		if stage := h.current(); stage != nil && stage.status != "SUCCEEDED" {
			return fmt.Errorf("stage %s is %s", stage.declared.GetName(), stage.status)
		}
		if len(h.stages) == len(h.declared) {
			return fmt.Errorf("there are %d stages", len(h.declared))
		}
		h.stages = append(h.stages, &stageHistory{declared: h.declared[len(h.stages)]})
	}
	stage := h.current()
	if stage == nil || stage.declared.GetName() != ev.GetStage() {
		return fmt.Errorf("the execution is not at stage %s", ev.GetStage())
	}
	if err := move(&stage.status, ev); err != nil {
		return err
	}
	if terminal(stage.status) {
		return stage.ended()
	}
	return nil
}

// ended says what is wrong with the end of a stage.
func (s *stageHistory) ended() error {
	newest := make(map[string]*actionHistory)
	for _, a := range s.actions {
		if !terminal(a.status) {
			return fmt.Errorf("action %s is %s", a.name, a.status)
		}
		newest[a.name] = a
	}
	if s.condition != "" && !terminal(s.condition) {
		return fmt.Errorf("its condition is %s", s.condition)
	}
	if s.status != "SUCCEEDED" {
		return nil
	}
	for _, declared := range s.declared.GetActions() {
		if a := newest[declared.GetName()]; a == nil || a.status != "SUCCEEDED" {
			return fmt.Errorf("action %s did not succeed", declared.GetName())
		}
	}
	if s.declared.GetBeforeEntry() != nil && s.condition != "SUCCEEDED" {
		return fmt.Errorf("its condition was not checked")
	}
	return nil
}

func (h *history) addAction(stage *stageHistory, ev *headracev1.Event) error {
	i := slices.IndexFunc(stage.actions, func(a *actionHistory) bool { return a.id == ev.GetActionExecutionId() })
	if i < 0 {
		i = len(stage.actions)
		stage.actions = append(stage.actions, &actionHistory{id: ev.GetActionExecutionId(), name: ev.GetAction()})
	}
	a := stage.actions[i]
	if err := move(&a.status, ev); err != nil {
		return err
	}
	switch ev.GetState() {
	case "STARTED":
		a.attempt++
	case "LOST":
		h.lost[a.name]++
	case "FAILED":
		a.code, a.stopping = ev.GetExecutionResult().GetErrorCode(), h.status == "STOPPING"
	}
	if ev.GetAttempt() != a.attempt {
		return fmt.Errorf("the attempt of the action is %d", a.attempt)
	}
	return nil
}

// lossesAsDeclared checks that an action failed for the loss of its runner only where
// its policy says so.
func (h *history) lossesAsDeclared() error {
	for _, stage := range h.stages {
		for _, a := range stage.actions {
			if a.code != "RunnerLost" || a.stopping || a.attempt >= maxLost {
				continue
			}
			i := slices.IndexFunc(stage.declared.GetActions(), func(d *headracev1.Action) bool { return d.GetName() == a.name })
			if i < 0 || stage.declared.GetActions()[i].GetOnLost() != "fail" {
				return fmt.Errorf("action %s failed in attempt %d, though it is to be tried again when its runner is lost", a.name, a.attempt)
			}
		}
	}
	return nil
}

// outcome is how the execution ended.
func (h *history) outcome() outcome {
	o := outcome{status: h.status}
	if h.status != "FAILED" {
		return o
	}
	newest := make(map[string]*actionHistory)
	for _, a := range h.current().actions {
		newest[a.name] = a
	}
	for _, a := range newest {
		// Of several that failed, the loss of a runner is what nobody scripted.
		if a.status == "FAILED" && o.code != "RunnerLost" {
			o.action, o.code = a.name, a.code
		}
	}
	return o
}

// matches compares what the events add up to with the execution as the server answers.
func (h *history) matches(e *headracev1.Execution) error {
	if got := word(e.GetStatus()); got != h.status || e.GetAttempt() != h.attempt {
		return fmt.Errorf("it is %s in attempt %d, and by its events %s in %d", got, e.GetAttempt(), h.status, h.attempt)
	}
	stages := e.GetStages()
	if n := len(stages); n > 0 && stages[n-1].GetStartTime() == nil {
		// It waited in front of that one.
		stages = stages[:n-1]
	}
	if len(stages) != len(h.stages) {
		return fmt.Errorf("it was in %d stages, and by its events in %d", len(stages), len(h.stages))
	}
	for i, stage := range stages {
		var want, got []string
		want = append(want, h.stages[i].declared.GetName()+" "+h.stages[i].status)
		got = append(got, stage.GetStage()+" "+word(stage.GetStatus()))
		for _, a := range h.stages[i].actions {
			want = append(want, fmt.Sprint(a.id, a.name, a.attempt, a.status, a.code))
		}
		for _, a := range stage.GetActions() {
			got = append(got, fmt.Sprint(a.GetId(), a.GetAction(), a.GetAttempt(), word(a.GetStatus()), a.GetError().GetCode()))
		}
		if !slices.Equal(want, got) {
			return fmt.Errorf("a stage is %v, and by its events %v", got, want)
		}
	}
	return nil
}
