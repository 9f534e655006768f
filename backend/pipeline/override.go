package pipeline

import (
	"errors"
	"maps"
	"slices"
)

const (
	maxOverrides     = 50
	maxRevisionValue = 1500
)

// Override asks an execution for one revision of a source instead of what the
// definition says.
type Override struct {
	Action string `json:"action"`
	// Type is one of the keys of Type.Overrides, such as COMMIT_ID.
	Type  string `json:"type"`
	Value string `json:"value"`
}

// ValidateOverrides checks the revisions that are asked for at the start of an
// execution of a valid definition. It returns a *ValidationError with paths below
// source_revisions, or nil.
func ValidateOverrides(def *Definition, catalog *Catalog, overrides []Override) error {
	c := &checker{def: def, catalog: catalog}
	const list = "source_revisions"
	c.count(Path(nil).Field(list), "source revisions", len(overrides), true, 0, maxOverrides)
	type key struct{ action, kind string }
	seen := make(map[key]bool)
	for i, o := range overrides {
		path := Path(nil).At(list, i)
		if seen[key{o.Action, o.Type}] {
			c.refuse(path.Field("type"), "action %q has more than one source revision of type %q; keep one", o.Action, o.Type)
			continue
		}
		seen[key{o.Action, o.Type}] = true
		c.override(path, o)
	}
	return c.err()
}

func (c *checker) override(path Path, o Override) {
	kind, ok := c.overriddenType(path.Field("action"), o.Action)
	var valueErr error
	switch {
	case CheckLine("the revision", o.Value) != nil:
		valueErr = CheckLine("the revision", o.Value)
	case len(References(o.Value)) > 0:
		valueErr = errors.New("the revision holds a reference to a variable, which is not replaced here; give the value itself")
	default:
		valueErr = checkText("the revision", o.Value, 1, maxRevisionValue)
	}
	c.check(path.Field("value"), valueErr)
	if !ok {
		return
	}
	types := slices.Sorted(maps.Keys(kind.Overrides))
	name, ok := kind.Overrides[o.Type]
	switch {
	case len(types) == 0:
		c.refuse(path.Field("type"), "an action of type %s fetches no revision that could be asked for; remove its source revision", kind.ID)
	case !ok:
		c.check(path.Field("type"), oneOf("revision type", o.Type, types...))
	case valueErr == nil:
		if p, ok := kind.Property(name); ok {
			c.check(path.Field("value"), p.check(o.Value))
		}
	}
}

// overriddenType returns the type of the source action of that name, or refuses
// the name.
func (c *checker) overriddenType(path Path, name string) (Type, bool) {
	var names []string
	other := false
	for i := range c.def.Stages {
		for j := range c.def.Stages[i].Actions {
			action := &c.def.Stages[i].Actions[j]
			switch {
			case action.Category == CategorySource && action.Name == name:
				// Without a type in the catalog the definition could not have run.
				kind, ok := c.catalog.Lookup(action.TypeID())
				if !ok {
					c.refuse(path, "the type of action %q is not supported by this version of Headrace", name)
				}
				return kind, ok
			case action.Category == CategorySource:
				names = append(names, action.Name)
			case action.Name == name:
				other = true
			}
		}
	}
	switch {
	case name == "":
		c.refuse(path, "the action is missing; name a source action: %s", enumerate(names))
	case other:
		c.refuse(path, "action %q is not a source action; source actions: %s", name, enumerate(names))
	default:
		c.refuse(path, "there is no source action %q%s; source actions: %s", name, didYouMean(name, names), enumerate(names))
	}
	return Type{}, false
}

// ApplyOverride returns a deep copy of a source action that fetches the revision
// that was asked for. What else would choose a revision is left out.
func ApplyOverride(action Action, kind Type, o Override) Action {
	clone := action.Clone()
	key, ok := kind.Overrides[o.Type]
	if !ok {
		return clone
	}
	if clone.Configuration == nil {
		clone.Configuration = make(map[string]string)
	}
	for _, set := range kind.Exclusive {
		if !slices.Contains(set, key) {
			continue
		}
		for _, exclusive := range set {
			delete(clone.Configuration, exclusive)
		}
	}
	clone.Configuration[key] = o.Value
	return clone
}
