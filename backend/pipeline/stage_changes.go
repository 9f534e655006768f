package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// StageChanges returns what differs between two valid definitions for a stage that both
// have: its block, and where the artifacts, output variables, source revisions and
// pipeline variables that it uses come from. What an earlier execution left can be used
// to run the stage again exactly when there is no difference.
//
// Of what the stage uses, the name, the type and the stage of the producing action must
// be the same, the files of an artifact, and the default of a pipeline variable. How
// the producer works may differ: the stage gets what it produced then.
func StageChanges(catalog *Catalog, before, after *Definition, name string) []string {
	was, is := before.Stage(name), after.Stage(name)
	if was == nil || is == nil {
		return []string{"one of them has no stage of that name"}
	}
	changes := blockChanges(was, is)
	uses := usesOf(catalog, was)
	for key := range usesOf(catalog, is) {
		uses[key] = true
	}
	for _, use := range slices.SortedFunc(maps.Keys(uses), func(a, b use) int { return strings.Compare(a.String(), b.String()) }) {
		if from, to := before.origin(was, use), after.origin(is, use); from != to {
			if use.kind == useVariable {
				// A default may be long, and has no place in the history.
				changes = append(changes, "default of "+use.String())
				continue
			}
			changes = append(changes, fmt.Sprintf("%s, %s instead of %s", use, to, from))
		}
	}
	return changes
}

// blockChanges names the fields of a stage that differ, those of actions by action.
func blockChanges(was, is *Stage) []string {
	var changes []string
	names := func(s *Stage) (all []string) {
		for i := range s.Actions {
			all = append(all, s.Actions[i].Name)
		}
		return all
	}
	before, after := names(was), names(is)
	for _, name := range after {
		if !slices.Contains(before, name) {
			changes = append(changes, fmt.Sprintf("action %s was added", name))
		}
	}
	for _, name := range before {
		now := is.Action(name)
		if now == nil {
			changes = append(changes, fmt.Sprintf("action %s was removed", name))
			continue
		}
		for _, field := range differing(was.Action(name), now) {
			changes = append(changes, fmt.Sprintf("%s of action %s", field, name))
		}
	}
	if len(changes) == 0 && !slices.Equal(before, after) {
		changes = append(changes, "the order of its actions")
	}
	for _, field := range differing(was, is) {
		if field != "actions" {
			changes = append(changes, field)
		}
	}
	return changes
}

// differing returns the names of the JSON fields in which two blocks differ, sorted. A
// new field of the definition is compared without a change here.
func differing(a, b any) []string {
	before, after := fields(a), fields(b)
	var names []string
	for name, value := range before {
		if !bytes.Equal(value, after[name]) {
			names = append(names, name)
		}
	}
	for name := range after {
		if _, known := before[name]; !known {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// fields returns the JSON fields of a block. A tree of strings, ints, lists and maps
// cannot fail.
func fields(block any) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	text, err := json.Marshal(block)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		//nolint:forbidigo // An error that cannot happen would be a burden on every caller.
		panic("pipeline: a block does not marshal: " + err.Error())
	}
	return all
}

// use is something that a stage takes from outside of it.
type use struct {
	kind useKind
	name string
}

type useKind string

const (
	useArtifact  useKind = "artifact"
	useNamespace useKind = "namespace"
	useRevision  useKind = "source revision"
	useVariable  useKind = "pipeline variable"
)

// String names the use in a message.
func (u use) String() string { return string(u.kind) + " " + u.name }

// usesOf returns what the actions and the conditions of a stage use, also where the
// stage itself produces it.
func usesOf(catalog *Catalog, stage *Stage) map[use]bool {
	uses := make(map[use]bool)
	for i := range stage.Actions {
		a := &stage.Actions[i]
		addUses(uses, catalog, a.declared())
	}
	for _, kind := range []ConditionKind{ConditionBeforeEntry, ConditionOnSuccess, ConditionOnFailure} {
		condition := stage.Condition(kind)
		if condition == nil {
			continue
		}
		for i := range condition.Rules {
			addUses(uses, catalog, condition.Rules[i].declared())
		}
	}
	return uses
}

func addUses(uses map[use]bool, catalog *Catalog, d *declared) {
	for _, name := range d.inputs {
		uses[use{useArtifact, name}] = true
	}
	kind, _ := catalog.Lookup(d.id)
	expressions := kind.expressions()
	for key, value := range d.configuration {
		if slices.Contains(expressions, key) {
			addExpressionUses(uses, value)
			continue
		}
		for _, reference := range References(value) {
			addReference(uses, reference)
		}
	}
	for i := range d.environment {
		for _, reference := range References(d.environment[i].Value) {
			addReference(uses, reference)
		}
	}
}

func addReference(uses map[use]bool, reference Reference) {
	switch reference.Namespace {
	case NamespaceCodePipeline:
	case NamespaceVariables:
		uses[use{useVariable, reference.Key}] = true
	default:
		uses[use{useNamespace, reference.Namespace}] = true
	}
}

// addExpressionUses adds what an expression reads. One that was refused reads nothing.
func addExpressionUses(uses map[use]bool, text string) {
	references, err := expression.References(text)
	if err != nil {
		return
	}
	for _, reference := range references {
		addReference(uses, Reference{Namespace: reference.Namespace, Key: reference.Key})
	}
	sources, err := expression.Sources(text)
	if err != nil {
		return
	}
	for _, name := range sources {
		uses[use{useRevision, name}] = true
	}
}

// origin says where a stage gets something from. What the stage produces itself is part
// of its block, and is from "the stage itself".
func (d *Definition) origin(user *Stage, of use) string {
	if of.kind == useVariable {
		for i := range d.Variables {
			switch v := &d.Variables[i]; {
			case v.Name != of.name:
			case v.DefaultValue == nil:
				return "without a default"
			default:
				return "default " + *v.DefaultValue
			}
		}
		return "not declared"
	}
	for i := range d.Stages {
		stage := &d.Stages[i]
		for j := range stage.Actions {
			a := &stage.Actions[j]
			files, produces := a.produces(of)
			switch {
			case !produces:
			case stage.Name == user.Name:
				return "from the stage itself"
			default:
				return fmt.Sprintf("from action %s of stage %s (%s)%s", a.Name, stage.Name, a.TypeID(), files)
			}
		}
	}
	return "from nowhere"
}

// produces tells whether an action is where something comes from, and which files of an
// artifact it keeps.
func (a *Action) produces(of use) (files string, yes bool) {
	switch of.kind {
	case useArtifact:
		for i := range a.OutputArtifacts {
			if o := &a.OutputArtifacts[i]; o.Name == of.name {
				if len(o.Files) > 0 {
					files = " with files " + strings.Join(o.Files, ", ")
				}
				return files, true
			}
		}
	case useNamespace:
		return "", a.Namespace == of.name
	case useRevision:
		return "", a.Category == CategorySource && a.Name == of.name
	case useVariable:
	}
	return "", false
}
