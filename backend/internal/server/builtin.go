package server

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/command"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// actionTypes returns the action types that this server runs and who carries
// them out. It is the place to add an action provider.
func actionTypes(extra []ActionType) (*pipeline.Catalog, *action.Registry) {
	catalog := pipeline.BuiltinCatalog()
	registry := action.NewRegistry()
	registry.AddAttempt(builtin(pipeline.CategorySource, "Git"), git.New())
	commands := command.New()
	for _, category := range []pipeline.Category{
		pipeline.CategoryBuild, pipeline.CategoryTest, pipeline.CategoryDeploy, pipeline.CategoryCompute,
	} {
		registry.AddAttempt(builtin(category, "Commands"), commands)
	}
	for _, t := range extra {
		catalog = catalog.With(t.ActionType)
		if t.Attempt != nil {
			registry.AddAttempt(t.ID, t.Attempt)
		}
		if t.Turn != nil {
			registry.AddTurn(t.ID, t.Turn)
		}
	}
	return catalog, registry
}

func builtin(category pipeline.Category, provider string) pipeline.TypeID {
	return pipeline.TypeID{Category: category, Owner: pipeline.Owner, Provider: provider, Version: "1"}
}

// capabilities are the features that clients may ask for by name. A name never
// changes its meaning.
func capabilities() []string {
	return []string{
		"approval_rules", "composed_pipelines", "condition_override", "conditions", "execution_explain", "execution_stop",
		"inline_pipelines", "log_tail", "manual_approvals", "on_update", "pipeline_state", "retention", "source_overrides",
		"stage_retry", "stage_rollback", "stage_transitions", "tokens", "validate_only",
	}
}
