// Package approval holds approval rules and matches them with what they guard. It must never
// decide whether an approval is met: that is the engine's.
package approval

import (
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Requirements returns what the rules ask for at a manual action, or at the
// entry of a stage where actionName is empty. Rules with stages and no actions
// guard entries, all others guard manual actions; every one that matches counts.
func Requirements(rules []Rule, pipelineName, stage, actionName string) []execution.Requirement {
	var found []execution.Requirement
	for _, rule := range rules {
		guardsEntry := len(rule.Stages) > 0 && len(rule.Actions) == 0
		if guardsEntry != (actionName == "") || !matches(rule.Pipelines, pipelineName) {
			continue
		}
		if len(rule.Stages) > 0 && !matches(rule.Stages, stage) {
			continue
		}
		if len(rule.Actions) > 0 && !matches(rule.Actions, actionName) {
			continue
		}
		requirement := rule.Requirement
		requirement.Rule = rule.Name
		found = append(found, requirement)
	}
	return found
}

// matches tells whether one of the globs matches a name. Rules are checked before
// they are stored; a glob that would be refused today, because it is none or its
// braces take too long to match, matches everything: what its author wanted to
// guard must not be left open.
func matches(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(text string) bool {
		glob, err := pipeline.ParseGlob(text)
		if err != nil {
			return true
		}
		ok, _ := glob.Match(name)
		return ok
	})
}
