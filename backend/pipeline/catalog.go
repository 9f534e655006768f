package pipeline

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// Work says who carries out an action of a type.
type Work int

const (
	// WorkTurn is short and bounded: the dispatcher runs it and may run it again.
	WorkTurn Work = iota + 1
	// WorkAttempt is a process on some machine: a runner takes it under a lease.
	WorkAttempt
	// WorkApproval is a wait for people: a row and a due time, nothing runs.
	WorkApproval
)

// TypeID names an action type.
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

// ConfigurationKey describes one key of an action's configuration.
type ConfigurationKey struct {
	Name     string
	Required bool
	// Check, where set, says what is wrong with a value that is known. Its errors
	// do not repeat the value, which may hold what must not be shown.
	Check func(value string) error
}

// ActionType is what the validator and the engine know of a type of actions.
type ActionType struct {
	ID            TypeID
	Work          Work
	Configuration []ConfigurationKey
	// ExclusiveKeys are configuration keys of which at most one may be set.
	ExclusiveKeys []string
	// Overrides are the revision types that an execution may ask a source for at
	// its start, each with the configuration key that it sets.
	Overrides map[string]string
	// MinInputs to MaxOutputs bound the number of artifacts.
	MinInputs, MaxInputs, MinOutputs, MaxOutputs int
	// Commands tells that the type takes commands, environment variables,
	// output variables and output files.
	Commands bool
	// OutputVariables are the names that the type always publishes.
	OutputVariables []string
	// OnLost is the policy for a lost runner where the action names none.
	OnLost OnLost
	// DefaultTimeout ends an action that names no timeout.
	DefaultTimeout time.Duration
}

// Catalog is the set of action types that can run.
type Catalog struct {
	types map[TypeID]ActionType
}

// NewCatalog returns a catalog of the given types.
func NewCatalog(types ...ActionType) *Catalog {
	c := &Catalog{types: make(map[TypeID]ActionType, len(types))}
	for _, t := range types {
		c.types[t.ID] = t
	}
	return c
}

// With returns a catalog that knows the given types too.
func (c *Catalog) With(types ...ActionType) *Catalog {
	all := make([]ActionType, 0, len(c.types)+len(types))
	for _, t := range c.types {
		all = append(all, t)
	}
	return NewCatalog(append(all, types...)...)
}

// Lookup returns the type of that id.
func (c *Catalog) Lookup(id TypeID) (ActionType, bool) {
	t, ok := c.types[id]
	return t, ok
}

// DefaultApprovalTimeout ends a wait for people where neither an action nor a rule
// says when: CodePipeline's seven days.
const DefaultApprovalTimeout = 7 * 24 * time.Hour

// Owner of the built-in action types.
const Owner = "Headrace"

// BuiltinCatalog returns the action types that every server runs.
func BuiltinCatalog() *Catalog {
	types := []ActionType{
		{
			ID:   TypeID{CategorySource, Owner, "Git", "1"},
			Work: WorkAttempt,
			Configuration: []ConfigurationKey{
				{Name: "RepositoryUrl", Required: true, Check: checkRepository},
				{Name: "Branch"},
				{Name: "Tag"},
				{Name: "Commit", Check: checkCommit},
			},
			ExclusiveKeys: []string{"Branch", "Tag", "Commit"},
			Overrides:     map[string]string{"COMMIT_ID": "Commit"},
			MinOutputs:    1, MaxOutputs: 1,
			OutputVariables: []string{
				"CommitId", "CommitMessage", "AuthorDisplayName", "AuthorEmail", "AuthorDate",
				"BranchName", "TagName", "RepositoryUrl",
			},
			OnLost:         OnLostRetry,
			DefaultTimeout: time.Hour,
		},
		{
			ID:   TypeID{CategoryApproval, Owner, "Manual", "1"},
			Work: WorkApproval,
			Configuration: []ConfigurationKey{
				{Name: "CustomData"}, {Name: "ExternalEntityLink"},
			},
			DefaultTimeout: DefaultApprovalTimeout,
		},
	}
	for _, category := range []Category{CategoryBuild, CategoryTest, CategoryDeploy, CategoryCompute} {
		types = append(types, ActionType{
			ID:             TypeID{category, Owner, "Commands", "1"},
			Work:           WorkAttempt,
			MaxInputs:      10,
			MaxOutputs:     10,
			Commands:       true,
			OnLost:         OnLostFail,
			DefaultTimeout: time.Hour,
		})
	}
	return NewCatalog(types...)
}

// String returns the id as category/owner/provider/version.
func (id TypeID) String() string {
	return string(id.Category) + "/" + id.Owner + "/" + id.Provider + "/" + id.Version
}

// IDs returns the ids of all types, sorted by their text.
func (c *Catalog) IDs() []TypeID {
	return slices.SortedFunc(maps.Keys(c.types), func(a, b TypeID) int {
		return strings.Compare(a.String(), b.String())
	})
}
