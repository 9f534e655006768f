package server

import (
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/command"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// Kind is a type of actions or rules with who carries it out: Attempt or Turn, by its
// Work.
type Kind struct {
	pipeline.Type
	Attempt action.AttemptExecutor
	Turn    action.TurnExecutor
}

// builtin pairs the types that every server runs with their executors. Types that package
// catalog declares are paired here, in one line each, unless the engine decides them itself.
// github is the address of GitHub.
func builtin(registry *action.Registry, github string) *pipeline.Catalog {
	registry.AddAttempt(catalog.CodeStarSourceConnection().ID, git.NewCodeStar())
	registry.AddAttempt(catalog.Git().ID, git.New())
	registry.AddAttempt(catalog.GitHub().ID, git.NewGitHub(github))
	commands := command.New()
	for _, t := range catalog.Commands() {
		registry.AddAttempt(t.ID, commands)
	}
	registry.AddAttempt(catalog.RuleCommands().ID, commands)
	return catalog.Builtin()
}

// pairKinds returns the types that this server runs, the built-in ones and others, and who
// carries them out. It fails if a type that needs an executor has none, or the reverse.
func pairKinds(github string, extra []Kind) (*pipeline.Catalog, *action.Registry, error) {
	registry := action.NewRegistry()
	types := builtin(registry, github)
	for _, kind := range extra {
		types = types.With(kind.Type)
		if kind.Attempt != nil {
			registry.AddAttempt(kind.ID, kind.Attempt)
		}
		if kind.Turn != nil {
			registry.AddTurn(kind.ID, kind.Turn)
		}
	}
	return types, registry, registry.Match(types)
}
