package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// How long rules may take that name no timeout.
const (
	// DefaultRuleTimeout ends the commands of a rule, as it ends those of an action.
	DefaultRuleTimeout = time.Hour
	// DefaultWindowTimeout ends the wait for a deployment window.
	DefaultWindowTimeout = 60 * 24 * time.Hour
)

// The configuration keys of the rules that run.
const (
	KeyCron       = "Cron"
	KeyTimeZone   = "TimeZone"
	KeyExpression = "Expression"
	KeyVariable   = "Variable"
	KeyValue      = "Value"
	KeyOperator   = "Operator"
)

// The operators of a VariableCheck.
const (
	operatorEqual    = "EQ"
	operatorNotEqual = "NE"
	operatorContains = "CONTAINS"
	operatorMatches  = "MATCHES"
)

func operators() []string {
	return []string{operatorEqual, operatorNotEqual, operatorContains, operatorMatches}
}

// Clone returns a deep copy of the rule.
func (r *Rule) Clone() Rule {
	clone := *r
	clone.Configuration = maps.Clone(r.Configuration)
	clone.Commands = slices.Clone(r.Commands)
	clone.EnvironmentVariables = slices.Clone(r.EnvironmentVariables)
	clone.InputArtifacts = slices.Clone(r.InputArtifacts)
	return clone
}

// ResolveRule is ResolveAction for a rule. The text of an Expression is taken as
// it is: it reads variables itself, and a value that became part of it could
// change what it means.
func ResolveRule(rule Rule, lookup LookupFunc) (Rule, error) {
	resolved := rule.Clone()
	if err := refuseInCommands(rule.Commands); err != nil {
		return Rule{}, err
	}
	keep := ""
	if rule.Provider == RuleExpression {
		keep = KeyExpression
		if references := References(rule.Configuration[keep]); len(references) > 0 {
			return Rule{}, fmt.Errorf("%s: %s", Path(nil).Entry("configuration", keep), referenceInExpression(references[0]))
		}
	}
	if err := resolveFields(resolved.Configuration, resolved.EnvironmentVariables, keep, lookup); err != nil {
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

// RuleAction returns the action that a runner carries out for a Commands rule
// whose references are resolved. A check may not run twice without its author
// saying so, as any commands.
func RuleAction(rule Rule) Action {
	clone := rule.Clone()
	return Action{
		Name:                 clone.Name,
		Category:             CategoryCompute,
		Owner:                Owner,
		Provider:             RuleCommands,
		Version:              "1",
		Commands:             clone.Commands,
		EnvironmentVariables: clone.EnvironmentVariables,
		InputArtifacts:       clone.InputArtifacts,
		TimeoutInMinutes:     clone.TimeoutInMinutes,
		OnLost:               OnLostFail,
	}
}

// CheckVariable tells whether a VariableCheck is met whose references are
// resolved, and says so in a sentence. The error is that of a configuration that
// cannot be checked, for instance of a pattern that came from a variable.
func CheckVariable(configuration map[string]string) (met bool, summary string, err error) {
	variable, value := configuration[KeyVariable], configuration[KeyValue]
	var yes, no string
	switch operator := configuration[KeyOperator]; operator {
	case operatorEqual:
		met, yes, no = variable == value, "equals", "does not equal"
	case operatorNotEqual:
		met, yes, no = variable != value, "differs from", "does not differ from"
	case operatorContains:
		met, yes, no = strings.Contains(variable, value), "contains", "does not contain"
	case operatorMatches:
		// As in Java, which CodePipeline is written in, the pattern means the whole.
		whole, err := expression.MatchWhole(value, variable)
		if err != nil {
			return false, "", fmt.Errorf("%s: %w", Path(nil).Entry("configuration", KeyValue), err)
		}
		met, yes, no = whole, "matches", "does not match"
	default:
		return false, "", fmt.Errorf("%s: %w", Path(nil).Entry("configuration", KeyOperator), oneOf("operator", operator, operators()...))
	}
	verb := no
	if met {
		verb = yes
	}
	return met, fmt.Sprintf("%s %s %s", excerpt(variable), verb, excerpt(value)), nil
}

// excerpt returns the start of a value in quotes.
func excerpt(value string) string {
	const most = 100
	if runes := []rune(value); len(runes) > most {
		return fmt.Sprintf("%q…", string(runes[:most]))
	}
	return fmt.Sprintf("%q", value)
}
