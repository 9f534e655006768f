package pipeline

import (
	"maps"
	"slices"
	"strings"
)

// Catalog is the set of types of actions and rules that can run. Package catalog declares
// those that every server runs.
type Catalog struct {
	types map[TypeID]Type
}

// NewCatalog returns a catalog of the given types.
func NewCatalog(types ...Type) *Catalog {
	c := &Catalog{types: make(map[TypeID]Type, len(types))}
	for _, t := range types {
		c.types[t.ID] = t
	}
	return c
}

// With returns a catalog that has the given types too.
func (c *Catalog) With(types ...Type) *Catalog {
	return NewCatalog(slices.AppendSeq(types[:len(types):len(types)], maps.Values(c.types))...)
}

// Lookup returns the type of that id.
func (c *Catalog) Lookup(id TypeID) (Type, bool) {
	t, ok := c.types[id]
	return t, ok
}

// ConnectionProperty returns the name of the property by which actions of a type name their
// connection. It is empty if they have none.
func (c *Catalog) ConnectionProperty(id TypeID) string {
	t, ok := c.types[id]
	if !ok || t.Watch == nil {
		return ""
	}
	return t.Watch.Connection
}

// Actions returns the types of actions, sorted by their ids.
func (c *Catalog) Actions() []Type {
	return c.list(func(id TypeID) bool { return id.Category != CategoryRule })
}

// Rules returns the types of rules, sorted by their ids.
func (c *Catalog) Rules() []Type {
	return c.list(func(id TypeID) bool { return id.Category == CategoryRule })
}

func (c *Catalog) list(is func(TypeID) bool) []Type {
	var list []Type
	for id, t := range c.types {
		if is(id) {
			list = append(list, t)
		}
	}
	slices.SortFunc(list, func(a, b Type) int { return strings.Compare(a.ID.String(), b.ID.String()) })
	return list
}

// ids returns the ids of types.
func ids(types []Type) []TypeID {
	all := make([]TypeID, len(types))
	for i := range types {
		all[i] = types[i].ID
	}
	return all
}
