package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// Clone returns a deep copy of the rule.
func (r *Rule) Clone() Rule {
	clone := *r
	clone.Configuration = maps.Clone(r.Configuration)
	clone.Commands = slices.Clone(r.Commands)
	clone.EnvironmentVariables = slices.Clone(r.EnvironmentVariables)
	clone.InputArtifacts = slices.Clone(r.InputArtifacts)
	return clone
}

// ResolveRule is ResolveAction for a rule.
func ResolveRule(rule Rule, kind *Type, lookup LookupFunc) (Rule, error) {
	resolved := rule.Clone()
	if err := resolveFields(rule.Commands, resolved.Configuration, resolved.EnvironmentVariables, kind, lookup); err != nil {
		return Rule{}, err
	}
	return resolved, nil
}

// referenceInExpression says how to write a reference in an expression.
func referenceInExpression(reference Reference) string {
	written := expression.Reference{Namespace: reference.Namespace, Key: reference.Key}.String()
	if reference.Namespace == NamespaceCodePipeline {
		written = "execution.id"
	}
	return fmt.Sprintf("an expression reads variables itself and may not hold %s; write %s without quotes", reference, written)
}

// RuleAction returns the action that an executor carries out for a rule whose references
// are resolved.
func RuleAction(rule Rule, kind *Type) Action {
	clone := rule.Clone()
	return Action{
		Name:                 clone.Name,
		Category:             kind.ID.Category,
		Owner:                kind.ID.Owner,
		Provider:             kind.ID.Provider,
		Version:              kind.ID.Version,
		Configuration:        kind.WithDefaults(clone.Configuration),
		Commands:             clone.Commands,
		EnvironmentVariables: clone.EnvironmentVariables,
		InputArtifacts:       clone.InputArtifacts,
		RoleARN:              clone.RoleARN,
		Region:               clone.Region,
		TimeoutInMinutes:     clone.TimeoutInMinutes,
		OnLost:               kind.OnLost,
	}
}
