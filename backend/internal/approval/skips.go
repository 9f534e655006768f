package approval

import (
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Skip is a gate of a stage that automatic rollbacks skip although a rule guards the stage.
type Skip struct {
	Rule  string
	Stage string
	// Field is that of on_rollback: skip_approvals or skip_conditions.
	Field string
}

// Skips returns what on_rollback skips in the stages of a definition that rules guard.
func Skips(rules []Rule, pipelineName string, def *pipeline.Definition) []Skip {
	var skips []Skip
	for _, part := range Guarded(rules, pipelineName, def) {
		for _, skip := range skipsOf(part, def.Stage(part.Stage).OnRollback) {
			if !slices.Contains(skips, skip) {
				skips = append(skips, skip)
			}
		}
	}
	return skips
}

// skipsOf returns what automatic rollbacks skip in the stage of a guarded part.
func skipsOf(part Part, on pipeline.OnRollback) (skips []Skip) {
	if on.SkipApprovals {
		skips = append(skips, Skip{part.Rule, part.Stage, "skip_approvals"})
	}
	if on.SkipConditions {
		skips = append(skips, Skip{part.Rule, part.Stage, "skip_conditions"})
	}
	return skips
}

// Weakened returns what automatic rollbacks skip after and did not skip before.
func Weakened(rules []Rule, pipelineName string, before, after *pipeline.Definition) []Skip {
	already := Skips(rules, pipelineName, before)
	return slices.DeleteFunc(Skips(rules, pipelineName, after), func(s Skip) bool { return slices.Contains(already, s) })
}
