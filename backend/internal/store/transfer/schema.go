package transfer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kind is what a column holds, whatever an engine calls its type.
type Kind string

// Kinds that every engine has. Another is an engine's own type and is not carried.
const (
	Integer Kind = "integer"
	Boolean Kind = "boolean"
	Text    Kind = "text"
	Bytes   Kind = "bytes"
)

// Column of a table.
type Column struct {
	Name string
	Kind Kind
}

// Table is a table of a schema.
type Table struct {
	Name string
	// Columns are ordered by name, so that two engines agree.
	Columns []Column
	// After are the tables that its rows refer to; a source may leave them out.
	After []string
}

// Select is the query for all rows, in the order of Columns.
func (t Table) Select() string {
	names := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		names[i] = quote(c.Name)
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM " + quote(t.Name)
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// carriesNothing tells of tables that say something about a database and nothing that
// belongs to its users: the version of the schema, and what is written to learn
// whether writes succeed.
func carriesNothing(table string) bool { return table == "goose_db_version" || table == "probe" }

// plan returns the tables to carry, so that none comes before those it refers to. It is
// an error where one side has a table or a column that the other one lacks: it would be
// lost without a word.
func plan(source, target []Table) ([]Table, error) {
	var differences []string
	differ := func(format string, args ...any) { differences = append(differences, fmt.Sprintf(format, args...)) }
	from, to := byName(source), byName(target)
	for _, name := range slices.Sorted(maps.Keys(from)) {
		if _, ok := to[name]; !ok {
			differ("only the source has table %s", name)
		}
	}
	var carried []Table
	for _, name := range slices.Sorted(maps.Keys(to)) {
		s, ok := from[name]
		if !ok {
			differ("only the target has table %s", name)
			continue
		}
		differences = append(differences, compareColumns(s, to[name])...)
		carried = append(carried, to[name])
	}
	if len(differences) > 0 {
		return nil, fmt.Errorf("the two schemas are not the same, so that something would be lost: %s", strings.Join(differences, "; "))
	}
	return order(carried)
}

func byName(tables []Table) map[string]Table {
	named := make(map[string]Table, len(tables))
	for _, t := range tables {
		if !carriesNothing(t.Name) {
			named[t.Name] = t
		}
	}
	return named
}

func compareColumns(source, target Table) (differences []string) {
	from, to := make(map[string]Kind), make(map[string]Kind)
	for _, c := range source.Columns {
		from[c.Name] = c.Kind
	}
	for _, c := range target.Columns {
		to[c.Name] = c.Kind
		switch kind, ok := from[c.Name]; {
		case !ok:
			differences = append(differences, fmt.Sprintf("only the target has %s.%s", source.Name, c.Name))
		case kind != c.Kind:
			differences = append(differences, fmt.Sprintf("%s.%s is %s in the source and %s in the target", source.Name, c.Name, kind, c.Kind))
		case !carries(kind):
			differences = append(differences, fmt.Sprintf("%s.%s is of type %s, which is not carried", source.Name, c.Name, kind))
		}
	}
	for _, c := range source.Columns {
		if _, ok := to[c.Name]; !ok {
			differences = append(differences, fmt.Sprintf("only the source has %s.%s", source.Name, c.Name))
		}
	}
	return differences
}

func carries(kind Kind) bool { return slices.Contains([]Kind{Integer, Boolean, Text, Bytes}, kind) }

// order returns the tables so that each comes after those that it refers to.
func order(tables []Table) ([]Table, error) {
	var ordered []Table
	placed := make(map[string]bool)
	for len(ordered) < len(tables) {
		before := len(ordered)
		for _, t := range tables {
			waits := func(name string) bool { return name != t.Name && !placed[name] }
			if !placed[t.Name] && !slices.ContainsFunc(t.After, waits) {
				placed[t.Name] = true
				ordered = append(ordered, t)
			}
		}
		if len(ordered) == before {
			return nil, fmt.Errorf("tables refer to each other in a circle: %d of %d can be carried", before, len(tables))
		}
	}
	return ordered, nil
}
