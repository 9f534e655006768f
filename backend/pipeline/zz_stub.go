package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Stands in until branch h-pure is merged; removed by that merge.

type Override struct {
	Action string `json:"action"`
	Type   string `json:"type"`
	Value  string `json:"value"`
}

const (
	DefaultRuleTimeout   = time.Hour
	DefaultWindowTimeout = 60 * 24 * time.Hour
)

func ResolveRule(rule Rule, lookup LookupFunc) (Rule, error) {
	resolved := rule
	resolved.Configuration = maps.Clone(rule.Configuration)
	for _, key := range slices.Sorted(maps.Keys(rule.Configuration)) {
		value, err := Resolve(rule.Configuration[key], lookup)
		if err != nil {
			return Rule{}, fmt.Errorf("%s: %w", Path(nil).Entry("configuration", key), err)
		}
		resolved.Configuration[key] = value
	}
	return resolved, nil
}

func CheckVariable(c map[string]string) (bool, string, error) {
	met := false
	switch c["Operator"] {
	case "EQ":
		met = c["Variable"] == c["Value"]
	case "NE":
		met = c["Variable"] != c["Value"]
	case "CONTAINS":
		met = strings.Contains(c["Variable"], c["Value"])
	default:
		return false, "", fmt.Errorf("no such operator")
	}
	return met, fmt.Sprintf("%q %s %q", c["Variable"], c["Operator"], c["Value"]), nil
}

func RuleAction(r Rule) Action {
	return Action{Name: r.Name, Category: CategoryCompute, Owner: Owner, Provider: "Commands", Version: "1", Commands: r.Commands, InputArtifacts: r.InputArtifacts}
}

func ApplyOverride(a Action, kind ActionType, o Override) Action        { return a }
func ValidateOverrides(def *Definition, c *Catalog, o []Override) error { return nil }
