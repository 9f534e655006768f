// Package approval matches approval rules with what they guard. It must never
// decide whether an approval is met: that is the engine's.
package approval

import (
	"slices"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Requirements returns what the rules ask for at a manual action, or at the
// entry of a stage where actionName is empty. Rules with stages and no actions
// guard entries, all others guard manual actions; every one that matches counts.
func Requirements(rules []store.ApprovalRule, pipeline, stage, actionName string) []execution.Requirement {
	var found []execution.Requirement
	for _, rule := range rules {
		guardsEntry := len(rule.Stages) > 0 && len(rule.Actions) == 0
		if guardsEntry != (actionName == "") || !matches(rule.Pipelines, pipeline) {
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

// matches tells whether one of the globs matches a name. A glob that is no glob
// matches nothing; rules are checked before they are stored.
func matches(globs []string, name string) bool {
	return slices.ContainsFunc(globs, func(glob string) bool {
		ok, err := doublestar.Match(glob, name)
		return err == nil && ok
	})
}
