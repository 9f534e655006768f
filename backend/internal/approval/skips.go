package approval

import (
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
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
func Skips(rules []store.ApprovalRule, pipelineName string, def *pipeline.Definition) []Skip {
	var skips []Skip
	add := func(p Part, field string, skipped bool) {
		if skip := (Skip{Rule: p.Rule, Stage: p.Stage, Field: field}); skipped && !slices.Contains(skips, skip) {
			skips = append(skips, skip)
		}
	}
	for _, part := range Guarded(rules, pipelineName, def) {
		on := def.Stage(part.Stage).OnRollback
		add(part, "skip_approvals", on.SkipApprovals)
		add(part, "skip_conditions", on.SkipConditions)
	}
	return skips
}

// Weakened returns what automatic rollbacks skip after and did not skip before.
func Weakened(rules []store.ApprovalRule, pipelineName string, before, after *pipeline.Definition) []Skip {
	already := Skips(rules, pipelineName, before)
	return slices.DeleteFunc(Skips(rules, pipelineName, after), func(s Skip) bool { return slices.Contains(already, s) })
}
