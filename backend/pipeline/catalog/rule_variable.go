package catalog

import (
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

const (
	variable = "Variable"
	value    = "Value"
	operator = "Operator"
)

const (
	operatorEqual    = "EQ"
	operatorNotEqual = "NE"
	operatorContains = "CONTAINS"
	operatorMatches  = "MATCHES"
)

// RuleVariable returns the rule that compares a variable with a value.
func RuleVariable() pipeline.Type {
	return pipeline.Type{
		ID:      id(pipeline.CategoryRule, "VariableCheck"),
		Summary: "Compares a variable with a value.",
		Work:    pipeline.WorkImmediate,
		Properties: []pipeline.Property{
			{Name: variable, Required: true, Example: "#{git.BranchName}", Description: "Text to check, usually a reference to a variable."},
			{Name: value, Required: true, Example: "main", Description: "Text or regular expression to compare `Variable` with."},
			{
				Name: operator, Required: true, Example: operatorEqual,
				Allowed: []string{operatorEqual, operatorNotEqual, operatorContains, operatorMatches},
				Description: "Comparison: `EQ` and `NE` compare the whole text, `CONTAINS` finds `Value` in `Variable`, and `MATCHES` takes " +
					"`Value` as a regular expression (RE2) that must match the whole of `Variable`.",
			},
		},
		Checks:    []pipeline.Check{{Properties: []string{value, operator}, Check: checkComparison}},
		MaxInputs: maxArtifacts,
		MaySkip:   true,
		Decide:    compare,
	}
}

func checkComparison(values map[string]string) error {
	if values[operator] != operatorMatches {
		return nil
	}
	return expression.CheckPattern(values[value])
}

func compare(values map[string]string, _ pipeline.Facts) (met bool, summary string, err error) {
	left, right := values[variable], values[value]
	var yes, no string
	switch values[operator] {
	case operatorEqual:
		met, yes, no = left == right, "equals", "does not equal"
	case operatorNotEqual:
		met, yes, no = left != right, "differs from", "does not differ from"
	case operatorContains:
		met, yes, no = strings.Contains(left, right), "contains", "does not contain"
	case operatorMatches:
		// As in CodePipeline, which is written in Java, the pattern must match the whole text.
		met, err = expression.MatchWhole(right, left)
		if err != nil {
			return false, "", fmt.Errorf("%s: %w", pipeline.Path(nil).Entry("configuration", value), err)
		}
		yes, no = "matches", "does not match"
	}
	verb := no
	if met {
		verb = yes
	}
	return met, fmt.Sprintf("%s %s %s", excerpt(left), verb, excerpt(right)), nil
}

// excerpt returns the start of a value in quotes.
func excerpt(value string) string {
	const most = 100
	if runes := []rune(value); len(runes) > most {
		return fmt.Sprintf("%q…", string(runes[:most]))
	}
	return fmt.Sprintf("%q", value)
}
