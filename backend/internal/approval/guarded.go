package approval

import (
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Part is what one rule guards in a pipeline: the entry of a stage, or a manual
// action of it.
type Part struct {
	Rule  string
	Stage string
	// Action is empty for the entry of the stage.
	Action string
}

// String names the part without its rule.
func (p Part) String() string {
	if p.Action == "" {
		return "stage " + p.Stage
	}
	return fmt.Sprintf("action %s of stage %s", p.Action, p.Stage)
}

// Guarded returns what the rules guard in a definition, in its order.
func Guarded(rules []Rule, pipelineName string, def *pipeline.Definition) []Part {
	var parts []Part
	guard := func(stage, action string) {
		for _, requirement := range Requirements(rules, pipelineName, stage, action) {
			parts = append(parts, Part{Rule: requirement.Rule, Stage: stage, Action: action})
		}
	}
	for i := range def.Stages {
		stage := &def.Stages[i]
		guard(stage.Name, "")
		for j := range stage.Actions {
			if stage.Actions[j].Category == pipeline.CategoryApproval {
				guard(stage.Name, stage.Actions[j].Name)
			}
		}
	}
	return parts
}

// Lost returns what the rules guard before and no longer after.
func Lost(rules []Rule, pipelineName string, before, after *pipeline.Definition) []Part {
	still := Guarded(rules, pipelineName, after)
	return slices.DeleteFunc(Guarded(rules, pipelineName, before), func(p Part) bool { return slices.Contains(still, p) })
}
