// Package catalog declares the types of actions and rules that every server runs, one file
// each: the name of a type, what it takes and what it publishes. The code that runs them is
// in backend/internal/action, except for types that a pure function decides. The package
// does no I/O, because the provider and the command line link it too.
package catalog

import (
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Builtin returns the types that every server runs.
func Builtin() *pipeline.Catalog {
	return pipeline.NewCatalog(slices.Concat(
		Commands(),
		[]pipeline.Type{
			CodeStarSourceConnection(), Git(), GitHub(), Manual(),
			RuleCommands(), RuleExpression(), RuleVariable(), RuleWindow(),
		},
	)...)
}

// id returns the id of a built-in type.
func id(category pipeline.Category, provider string) pipeline.TypeID {
	return pipeline.TypeID{Category: category, Owner: pipeline.Owner, Provider: provider, Version: "1"}
}

// maxArtifacts bounds the input and the output artifacts of commands.
const maxArtifacts = 10
