package pipeline

import (
	"maps"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// Work says how an action or a rule of a type is carried out. The engine branches on it
// and on nothing else of a type. The numbers are stored.
type Work int

const (
	// WorkTurn is short and bounded: the dispatcher runs it and may run it again.
	WorkTurn Work = 1
	// WorkAttempt is a process on some machine: a runner takes it under a lease.
	WorkAttempt Work = 2
	// WorkApproval is a wait for people: a row and a due time, nothing runs.
	WorkApproval Work = 3
	// WorkImmediate is decided at once by the type's Decide.
	WorkImmediate Work = 4
	// WorkTimed waits until the type's Open says that it is open.
	WorkTimed Work = 5
)

// Owner of the built-in types.
const Owner = "Headrace"

// DefaultApprovalTimeout ends a wait for people if neither an action nor an approval rule
// says when: CodePipeline's seven days.
const DefaultApprovalTimeout = 7 * 24 * time.Hour

// TypeID names a type of actions or rules.
type TypeID struct {
	Category Category
	Owner    string
	Provider string
	Version  string
}

// TypeID returns the id of the action's type.
func (a *Action) TypeID() TypeID {
	return TypeID{Category: a.Category, Owner: a.Owner, Provider: a.Provider, Version: a.Version}
}

// TypeID returns the id of the rule's type. Rules name no owner, and version 1 if they
// name none.
func (r *Rule) TypeID() TypeID {
	version := r.Version
	if version == "" {
		version = "1"
	}
	return TypeID{Category: CategoryRule, Owner: Owner, Provider: r.Provider, Version: version}
}

// String returns the id as category/owner/provider/version.
func (id TypeID) String() string {
	return string(id.Category) + "/" + id.Owner + "/" + id.Provider + "/" + id.Version
}

// Type declares a type of actions or of rules. Validation, the engine, the API and the
// documentation read it; there is no other place that says what a type takes.
type Type struct {
	ID TypeID
	// Summary says in one sentence what an action or a rule of the type does.
	Summary string
	Work    Work
	// Properties are the keys of the configuration, in the order of the documentation.
	Properties []Property
	// Exclusive are sets of properties of which at most one may be set.
	Exclusive [][]string
	// Checks are what values must keep together.
	Checks []Check
	// Overrides are the revision types that an execution may ask a source for at
	// its start, each with the property that it sets.
	Overrides map[string]string
	// Watch says how a source of the type is watched for changes. Nil if it cannot be.
	Watch *Watch
	// MinInputs to MaxOutputs bound the number of artifacts.
	MinInputs, MaxInputs, MinOutputs, MaxOutputs int
	// Takes is what else an action or a rule of the type may declare.
	Takes Takes
	// Variables are the output variables that the type always publishes.
	Variables []OutputVariable
	// MaySkip tells that a rule of the type may be in a condition whose result is SKIP.
	MaySkip bool
	// OnLost is the policy for a lost runner of an action that declares none.
	OnLost OnLost
	// DefaultTimeout ends an action or a rule that declares no timeout.
	DefaultTimeout time.Duration
	// Decide is set for WorkImmediate: it tells whether the rule is met, and says so in a
	// sentence. It must be pure. Its values are resolved, checked, and have the defaults
	// filled in. An error means that the rule cannot be decided.
	Decide func(values map[string]string, facts Facts) (met bool, summary string, err error)
	// Open is set for WorkTimed: it reads when a rule with these values is open. It must be
	// pure. An error means that this cannot be told.
	Open func(values map[string]string) (Opening, error)
}

// Watch says how a source is watched for changes. Its fields are names of properties.
type Watch struct {
	// Connection holds the connection to the repository. Empty if Token is set.
	Connection string
	// Token holds a token of the action's own that reads the repository. Nothing delivers its
	// pushes, so they are found by polling.
	Token string
	// Repository names the repository; the values of several are joined by slashes.
	Repository []string
	// Branch holds the branch to watch. Without a value it is the default branch.
	Branch string
	// Detect tells whether pushes to the branch start executions if no trigger is declared.
	Detect string
	// Pins are what a source fetches instead of a branch, which excludes detection.
	Pins []string
	// Triggers tells whether a trigger may be declared for a source of the type.
	Triggers bool
}

// RepositoryOf returns the repository that a source with these values fetches. It is not fixed
// if it depends on variables, which have values in an execution only.
func (w *Watch) RepositoryOf(values map[string]string) (name string, fixed bool) {
	parts := make([]string, len(w.Repository))
	for i, property := range w.Repository {
		parts[i] = values[property]
	}
	name = strings.Join(parts, "/")
	return name, len(References(name)) == 0
}

// BranchOf returns the branch that a source with these values fetches, empty for the default
// branch. It is not fixed if it depends on variables.
func (w *Watch) BranchOf(values map[string]string) (name string, fixed bool) {
	name = values[w.Branch]
	return name, len(References(name)) == 0
}

// Opening tells when a rule whose Work is WorkTimed is open.
type Opening struct {
	// Next returns the first moment at or after from at which the rule is open, and whether
	// it opens again at all.
	Next func(from time.Time) (opens time.Time, ever bool)
	// Property is the one to blame if it does not.
	Property string
}

// Facts are what a type whose Work is WorkImmediate may look at.
type Facts = expression.Input

// PropertyType says what the text of a value stands for.
type PropertyType string

// The types of properties: CodePipeline's String, Number and Boolean, and more.
const (
	// PropertyString is any text. A property without a type has it.
	PropertyString PropertyType = "String"
	// PropertyNumber is a decimal number.
	PropertyNumber PropertyType = "Number"
	// PropertyBoolean is true or false.
	PropertyBoolean PropertyType = "Boolean"
	// PropertyJSON is a JSON document.
	PropertyJSON PropertyType = "JSON"
	// PropertyDuration is a duration such as 90s, 15m or 1h30m.
	PropertyDuration PropertyType = "Duration"
	// PropertyExpression is an expression of package expression. It reads variables by
	// itself, so a reference such as #{variables.name} is refused in it.
	PropertyExpression PropertyType = "Expression"
)

// Property is one key of the configuration of a type: CodePipeline's
// ActionConfigurationProperty, with more to check by.
type Property struct {
	Name string
	// Description starts with what the value is.
	Description string
	Type        PropertyType
	Required    bool
	// Default is the value that takes effect if none is given.
	Default string
	// Allowed are the only values that are accepted, if there are any.
	Allowed []string
	// Check, if set, says what is wrong with a value. Its errors do not repeat the value,
	// which may be secret.
	Check func(value string) error
	// CheckAlways tells that Check is called for a value with references to variables, too.
	// Otherwise such a value is checked once they are resolved.
	CheckAlways bool
	// Example is a value for the documentation.
	Example string
	// Secret tells that the value is sealed before the definition is stored, see Sealed.
	Secret bool
	// Instead says what to use instead of the property, for a warning about a definition that
	// sets it.
	Instead string
	// OverrideOnly tells that the start of an execution sets the property, and that a
	// definition must not.
	OverrideOnly bool
}

// Check says what is wrong with the values of several properties together. The first
// property is the one to blame. It is called only if none of them was refused and all
// values that are given are known.
type Check struct {
	Properties []string
	Check      func(values map[string]string) error
}

// OutputVariable is a variable that each action of a type publishes.
type OutputVariable struct {
	Name        string
	Description string
}

// Takes is a set of what an action or a rule may declare besides its configuration and
// its artifacts.
type Takes uint

const (
	// TakesCommands allows, and requires, commands.
	TakesCommands Takes = 1 << iota
	// TakesEnvironment allows environment variables.
	TakesEnvironment
	// TakesOutputVariables allows names of environment variables to publish.
	TakesOutputVariables
	// TakesOutputFiles allows patterns that choose the files of an output artifact.
	TakesOutputFiles
	// TakesRole allows an IAM role.
	TakesRole
	// TakesRegion allows an AWS region.
	TakesRegion
)

// Has tells whether all of other is in the set.
func (t Takes) Has(other Takes) bool { return t&other == other }

// Property returns the property of that name.
func (t *Type) Property(name string) (Property, bool) {
	for _, p := range t.Properties {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}

// Configurable returns the properties that a definition may set, in their order.
func (t *Type) Configurable() []Property {
	properties := make([]Property, 0, len(t.Properties))
	for _, p := range t.Properties {
		if !p.OverrideOnly {
			properties = append(properties, p)
		}
	}
	return properties
}

// PropertyNames returns the names of the properties that a definition may set, in their order.
func (t *Type) PropertyNames() []string {
	properties := t.Configurable()
	names := make([]string, len(properties))
	for i, p := range properties {
		names[i] = p.Name
	}
	return names
}

// VariableNames returns the names of the output variables in their order.
func (t *Type) VariableNames() []string {
	names := make([]string, len(t.Variables))
	for i, v := range t.Variables {
		names[i] = v.Name
	}
	return names
}

// WithDefaults returns a configuration with the defaults of the properties that it does
// not set. It returns the same map if there are none to add.
func (t *Type) WithDefaults(configuration map[string]string) map[string]string {
	filled := configuration
	for _, p := range t.Properties {
		if _, given := configuration[p.Name]; given || p.Default == "" {
			continue
		}
		if len(filled) == len(configuration) {
			filled = maps.Clone(configuration)
			if filled == nil {
				filled = make(map[string]string)
			}
		}
		filled[p.Name] = p.Default
	}
	return filled
}
