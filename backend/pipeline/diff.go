package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// ChangeKind says what became of a block or a field.
type ChangeKind string

// The kinds of changes. Moved is an action that is in another stage now.
const (
	Added   ChangeKind = "ADDED"
	Removed ChangeKind = "REMOVED"
	Changed ChangeKind = "CHANGED"
	Moved   ChangeKind = "MOVED"
)

// Change is one difference between two definitions.
type Change struct {
	Kind ChangeKind
	// Block is what has changed, such as "action Compile of stage Build"; empty for the
	// pipeline itself.
	Block string
	// Stage and Action are where that is now, or was if it was removed; empty outside of them.
	Stage, Action string
	// Field is what of the block has changed, such as run_order or configuration["Branch"]. It
	// is empty if the block itself was added, removed or moved.
	Field string
	// Before and After are the values: a list of strings has one element for each. Of a block
	// that was added or removed they have its type, if it has one; of one that was moved the
	// stages.
	Before, After []string
}

// secretValue stands for a secret value, whose reference tells a reader nothing.
const secretValue = "(secret value)"

// Diff returns what differs between two definitions, in the order of the second, with what is
// only in the first behind it. Blocks are compared if they have the same name. Values that are
// written out and equal their defaults are left out, and so is the order of blocks other than
// stages.
func Diff(before, after *Definition) []Change {
	was, is := withDefaults(before), withDefaults(after)
	d := &differ{}
	d.fields(Change{}, fields(was), fields(is), "variables", "triggers", "stages")
	d.blocks(Change{Block: "variable %s"}, variableBlocks(was), variableBlocks(is))
	d.blocks(Change{Block: "trigger of source action %s"}, triggerBlocks(was), triggerBlocks(is))
	d.stages(was, is)
	return d.changes
}

// withDefaults returns a definition whose defaults are written out.
func withDefaults(d *Definition) *Definition {
	full := *d
	full.ExecutionMode = d.Mode()
	if full.OnUpdate == "" {
		full.OnUpdate = OnUpdateFinish
	}
	if full.PipelineType == "" {
		full.PipelineType = PipelineTypeV2
	}
	full.Stages = slices.Clone(d.Stages)
	for i := range full.Stages {
		stage := &full.Stages[i]
		if f := stage.OnFailure; f != nil && f.Result == ResultRetry && f.RetryMode == "" {
			retries := *f
			retries.RetryMode = RetryFailedActions
			stage.OnFailure = &retries
		}
		stage.Actions = slices.Clone(stage.Actions)
		for j := range stage.Actions {
			a := &stage.Actions[j]
			a.RunOrder = a.Order()
			a.EnvironmentVariables = slices.Clone(a.EnvironmentVariables)
			for n := range a.EnvironmentVariables {
				if v := &a.EnvironmentVariables[n]; v.Type == "" {
					v.Type = EnvironmentPlaintext
				}
			}
		}
	}
	return &full
}

// block is a part of a definition that has a name.
type block struct {
	name string
	// kind is what it is said to be when it is added or removed.
	kind   string
	fields map[string]json.RawMessage
}

func variableBlocks(d *Definition) []block {
	all := make([]block, len(d.Variables))
	for i := range d.Variables {
		all[i] = block{name: d.Variables[i].Name, fields: fields(&d.Variables[i])}
	}
	return all
}

func triggerBlocks(d *Definition) []block {
	all := make([]block, len(d.Triggers))
	for i := range d.Triggers {
		t := &d.Triggers[i]
		all[i] = block{name: fmt.Sprintf("%d", i+1), kind: t.ProviderType, fields: fields(t)}
		if t.GitConfiguration != nil {
			all[i].name = t.GitConfiguration.SourceActionName
		}
	}
	return all
}

func ruleBlocks(c *Condition) []block {
	if c == nil {
		return nil
	}
	all := make([]block, len(c.Rules))
	for i := range c.Rules {
		all[i] = block{name: c.Rules[i].Name, kind: c.Rules[i].Provider, fields: fields(&c.Rules[i])}
	}
	return all
}

// differ collects changes.
type differ struct{ changes []Change }

func (d *differ) add(c Change) { d.changes = append(d.changes, c) }

// blocks compares blocks that have names, which stand for %s where they are.
func (d *differ) blocks(where Change, before, after []block) {
	at := func(b block) Change {
		c := where
		c.Block = strings.Replace(c.Block, "%s", b.name, 1)
		return c
	}
	for _, b := range after {
		place := slices.IndexFunc(before, func(a block) bool { return a.name == b.name })
		if place < 0 {
			c := at(b)
			c.Kind, c.After = Added, text(b.kind)
			d.add(c)
			continue
		}
		d.fields(at(b), before[place].fields, b.fields, "name")
	}
	for _, a := range before {
		if !slices.ContainsFunc(after, func(b block) bool { return b.name == a.name }) {
			c := at(a)
			c.Kind, c.Before = Removed, text(a.kind)
			d.add(c)
		}
	}
}

func text(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func (d *differ) stages(before, after *Definition) {
	names := func(of *Definition) (all []string) {
		for i := range of.Stages {
			all = append(all, of.Stages[i].Name)
		}
		return all
	}
	d.order(Change{Field: "order of stages"}, names(before), names(after))
	for i := range after.Stages {
		is := &after.Stages[i]
		if was := before.Stage(is.Name); was != nil {
			d.stage(before, after, was, is)
			continue
		}
		d.add(Change{Kind: Added, Block: "stage " + is.Name, Stage: is.Name})
		d.stage(before, after, &Stage{Name: is.Name}, is)
	}
	for i := range before.Stages {
		was := &before.Stages[i]
		if after.Stage(was.Name) == nil {
			d.add(Change{Kind: Removed, Block: "stage " + was.Name, Stage: was.Name})
			d.actions(before, after, was, &Stage{Name: was.Name})
		}
	}
}

// order compares the order of what both have.
func (d *differ) order(at Change, before, after []string) {
	without := func(all, others []string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !slices.Contains(others, name) })
	}
	was, is := without(before, after), without(after, before)
	if !slices.Equal(was, is) {
		at.Kind, at.Before, at.After = Changed, was, is
		d.add(at)
	}
}

func (d *differ) stage(before, after *Definition, was, is *Stage) {
	at := Change{Block: "stage " + is.Name, Stage: is.Name}
	d.fields(at, fields(was), fields(is), "name", "actions", "before_entry", "on_success", "on_failure")
	for _, kind := range []ConditionKind{ConditionBeforeEntry, ConditionOnSuccess, ConditionOnFailure} {
		d.condition(is.Name, kind, was, is)
	}
	d.actions(before, after, was, is)
}

// condition compares what a stage checks, and what follows.
func (d *differ) condition(stage string, kind ConditionKind, was, is *Stage) {
	at := Change{Block: kind.Argument() + " of stage " + stage, Stage: stage}
	before, after := conditionFields(was, kind), conditionFields(is, kind)
	switch {
	case before == nil && after == nil:
		return
	case before == nil:
		at.Kind = Added
		d.add(at)
		at.Kind = ""
	case after == nil:
		at.Kind = Removed
		d.add(at)
		return
	}
	d.fields(at, before, after)
	d.blocks(Change{Block: "rule %s of " + at.Block, Stage: stage}, ruleBlocks(was.Condition(kind)), ruleBlocks(is.Condition(kind)))
}

// conditionFields returns the fields of a condition but its rules, nil for none.
func conditionFields(s *Stage, kind ConditionKind) map[string]json.RawMessage {
	if kind != ConditionOnFailure {
		condition := s.Condition(kind)
		if condition == nil {
			return nil
		}
		return fields(&Condition{Result: condition.Result})
	}
	if s.OnFailure == nil {
		return nil
	}
	all := fields(&OnFailure{Result: s.OnFailure.Result, RetryMode: s.OnFailure.RetryMode})
	if condition := s.OnFailure.Condition; condition != nil {
		for name, value := range fields(&Condition{Result: condition.Result}) {
			all["condition."+name] = value
		}
	}
	return all
}

// actions compares the actions of a stage. One that comes from another stage has moved, and
// its fields are compared too.
func (d *differ) actions(before, after *Definition, was, is *Stage) {
	at := func(name string) Change {
		return Change{Block: "action " + name + " of stage " + is.Name, Stage: is.Name, Action: name}
	}
	for i := range is.Actions {
		now := &is.Actions[i]
		c := at(now.Name)
		old := was.Action(now.Name)
		if old == nil {
			from := movedFrom(before, after, now.Name)
			if from == nil {
				c.Kind, c.After = Added, text(now.TypeID().String())
				d.add(c)
				continue
			}
			c.Kind, c.Before, c.After = Moved, []string{"stage " + from.Name}, []string{"stage " + is.Name}
			d.add(c)
			old = from.Action(now.Name)
		}
		d.fields(at(now.Name), fields(old), fields(now), "name")
	}
	for i := range was.Actions {
		old := &was.Actions[i]
		if is.Action(old.Name) != nil || movedFrom(before, after, old.Name) != nil {
			continue
		}
		c := at(old.Name)
		c.Kind, c.Before = Removed, text(old.TypeID().String())
		d.add(c)
	}
}

// movedFrom returns the stage that an action was in which is in another one now, nil if it has
// not moved. An action that either definition has in several stages has not moved.
func movedFrom(before, after *Definition, action string) *Stage {
	from, to := before.only(action), after.only(action)
	if from == nil || to == nil || from.Name == to.Name {
		return nil
	}
	return from
}

// only returns the stage that has an action of that name, nil if none or several have one.
func (d *Definition) only(action string) *Stage {
	var found *Stage
	for i := range d.Stages {
		if d.Stages[i].Action(action) == nil {
			continue
		}
		if found != nil {
			return nil
		}
		found = &d.Stages[i]
	}
	return found
}

// fields compares the fields of a block, except some.
func (d *differ) fields(at Change, before, after map[string]json.RawMessage, except ...string) {
	for _, name := range names(before, after) {
		if !slices.Contains(except, name) {
			d.value(at, name, before[name], after[name])
		}
	}
}

func names(before, after map[string]json.RawMessage) []string {
	all := maps.Clone(before)
	if all == nil {
		all = make(map[string]json.RawMessage, len(after))
	}
	maps.Copy(all, after)
	return slices.Sorted(maps.Keys(all))
}

// value compares the values of a field: objects, and lists of blocks with names, by their
// parts. A value that is missing is nil.
func (d *differ) value(at Change, field string, before, after json.RawMessage) {
	if bytes.Equal(before, after) {
		return
	}
	was, is := members(before), members(after)
	keyed := isMap(field) || isList(before) || isList(after)
	byParts := was != nil && is != nil || keyed && (was != nil || before == nil) && (is != nil || after == nil)
	if !byParts {
		at.Kind, at.Field, at.Before, at.After = Changed, field, lines(before), lines(after)
		switch {
		case before == nil:
			at.Kind = Added
		case after == nil:
			at.Kind = Removed
		}
		d.add(at)
		return
	}
	for _, name := range names(was, is) {
		part := field + "." + name
		if keyed {
			part = fmt.Sprintf("%s[%q]", field, name)
		}
		d.value(at, part, was[name], is[name])
	}
}

// isMap tells whether the keys of a field are the user's.
func isMap(field string) bool { return field == "configuration" }

func isList(value json.RawMessage) bool { return bytes.HasPrefix(value, []byte("[")) }

// members returns the parts of an object, or of a list of objects that have names; nil for
// everything else.
func members(value json.RawMessage) map[string]json.RawMessage {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) == nil {
		return object
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil || len(list) == 0 {
		return nil
	}
	named := make(map[string]json.RawMessage, len(list))
	for _, element := range list {
		var of struct{ Name string }
		if json.Unmarshal(element, &of) != nil || of.Name == "" {
			return nil
		}
		named[of.Name] = element
	}
	return named
}

// lines returns a value as text: a string as it is, a list in an element for each, an object as
// its fields.
func lines(value json.RawMessage) []string {
	if value == nil {
		return nil
	}
	var s string
	if json.Unmarshal(value, &s) == nil {
		if IsSealed(s) {
			s = secretValue
		}
		return []string{s}
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) == nil {
		all := []string{}
		for _, element := range list {
			all = append(all, strings.Join(lines(element), ", "))
		}
		return all
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) == nil {
		var all []string
		for _, name := range slices.Sorted(maps.Keys(object)) {
			if name != "name" {
				all = append(all, name+": "+strings.Join(lines(object[name]), ", "))
			}
		}
		return all
	}
	return []string{string(value)}
}
