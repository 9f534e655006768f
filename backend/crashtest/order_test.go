package crashtest

import (
	"cmp"
	"fmt"
	"slices"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// crossing is a pipeline whose executions meet: who is in each of its stages and who
// waits in front of it, as the events tell in their order.
type crossing struct {
	mode     headracev1.ExecutionMode
	declared []*headracev1.Stage
	started  int64
	inside   map[string]int64
	waiting  map[string][]int64
	// at is the stage, by its place, that an execution is in or waits for.
	at map[int64]int
}

// numbered is an event with the number of its execution.
type numbered struct {
	number int64
	*headracev1.Event
}

// checkOrder says what in the events of all executions of a pipeline breaks the promise
// of its mode: one execution in a stage, first come first served where it is QUEUED, one
// place to wait, which the newest takes, where it is SUPERSEDED. Positions ascend with
// the commits of a pipeline.
func checkOrder(mode headracev1.ExecutionMode, declared []*headracev1.Stage, events []numbered) error {
	if mode == headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL {
		return nil
	}
	slices.SortFunc(events, func(a, b numbered) int { return cmp.Compare(a.GetPosition(), b.GetPosition()) })
	c := &crossing{
		mode: mode, declared: declared, inside: make(map[string]int64), waiting: make(map[string][]int64), at: make(map[int64]int),
	}
	for _, ev := range events {
		if err := c.add(ev); err != nil {
			return fmt.Errorf("at execution %d, %v: %w", ev.number, ev.Event, err)
		}
	}
	for _, stage := range declared {
		if name := stage.GetName(); c.inside[name] != 0 || len(c.waiting[name]) > 0 {
			return fmt.Errorf("at the end execution %d is in stage %s and %v wait for it", c.inside[name], name, c.waiting[name])
		}
	}
	return nil
}

func (c *crossing) add(ev numbered) error {
	switch ev.GetSubject() {
	case headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION:
		return c.addExecution(ev)
	case headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION:
		return c.addStage(ev)
	default:
		return nil
	}
}

func (c *crossing) addExecution(ev numbered) error {
	switch ev.GetState() {
	case "STARTED":
		if ev.number <= c.started {
			return fmt.Errorf("it started after execution %d", c.started)
		}
		c.started = ev.number
		return c.arrive(ev.number, 0)
	case "STOPPED":
		c.leaveQueue(ev.number)
		return nil
	case "SUPERSEDED":
		var by int64
		var stage string
		if _, err := fmt.Sscanf(ev.GetMessage(), "superseded by execution %d in front of stage %s", &by, &stage); err != nil {
			return fmt.Errorf("it was not superseded in front of a stage: %w", err)
		}
		waiting := c.waiting[stage]
		if by <= ev.number || !slices.Contains(waiting, ev.number) || !slices.Contains(waiting, by) {
			return fmt.Errorf("executions %v wait for stage %s", waiting, stage)
		}
		c.leaveQueue(ev.number)
		return nil
	default:
		return nil
	}
}

func (c *crossing) leaveQueue(number int64) {
	stage := c.declared[c.at[number]].GetName()
	c.waiting[stage] = slices.DeleteFunc(c.waiting[stage], func(n int64) bool { return n == number })
}

// arrive brings an execution in front of a stage.
func (c *crossing) arrive(number int64, place int) error {
	if place == len(c.declared) {
		return nil
	}
	stage := c.declared[place].GetName()
	c.at[number] = place
	c.waiting[stage] = append(c.waiting[stage], number)
	if c.mode == headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED && len(c.waiting[stage]) > 2 {
		return fmt.Errorf("executions %v wait for stage %s", c.waiting[stage], stage)
	}
	return nil
}

func (c *crossing) addStage(ev numbered) error {
	stage := ev.GetStage()
	if holder := c.inside[stage]; holder != 0 && holder != ev.number {
		return fmt.Errorf("execution %d is in stage %s", holder, stage)
	}
	switch ev.GetState() {
	case "STARTED":
		waiting := c.waiting[stage]
		alone := c.mode == headracev1.ExecutionMode_EXECUTION_MODE_QUEUED || len(waiting) == 1
		if len(waiting) == 0 || waiting[0] != ev.number || !alone {
			return fmt.Errorf("executions %v wait for stage %s", waiting, stage)
		}
		c.waiting[stage] = waiting[1:]
		c.inside[stage] = ev.number
	case "RESUMED":
		c.inside[stage] = ev.number
	case "SUCCEEDED":
		c.inside[stage] = 0
		return c.arrive(ev.number, c.at[ev.number]+1)
	case "FAILED", "STOPPED":
		c.inside[stage] = 0
	}
	return nil
}
