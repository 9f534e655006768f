package pipeline

import (
	"fmt"
	"strings"
)

// maxLocatedName bounds a name in a location: names are checked later than they are
// quoted.
const maxLocatedName = 100

// Locate returns the place that a path names, in the words that people have for it:
// stage "Deploy", action "Ship", configuration "Cluster". Parts are called by their
// names, and by their position where a name is missing or not known yet. A part whose
// position is not known either, since blocks of an unknown number precede it, is left
// out. It returns nothing for a place outside of stages, variables, triggers and
// artifact stores: the field says enough there.
func Locate(def *Definition, path Path) string {
	if def == nil || len(path) == 0 {
		return ""
	}
	step, rest := path[0], path[1:]
	var l location
	switch {
	case step.Index < 0:
	case step.Field == "stages" && step.Index < len(def.Stages):
		l.stage(def, step.Index, rest)
	case step.Field == "variables" && step.Index < len(def.Variables):
		l.part("variable", def.Variables[step.Index].Name, step.Index, !hasOpaque(def.Variables[:step.Index], opaqueVariable))
		l.fields(rest)
	case step.Field == "artifact_stores" && step.Index < len(def.ArtifactStores):
		l.part("artifact store", def.ArtifactStores[step.Index].Location, step.Index, !hasOpaque(def.ArtifactStores[:step.Index], opaqueStore))
		l.fields(rest)
	case step.Field == "triggers" && step.Index < len(def.Triggers):
		l.part("trigger", "", step.Index, !hasOpaque(def.Triggers[:step.Index], opaqueTrigger))
		l.fields(rest)
	}
	if last := path[len(path)-1]; l.named && last.Field == "name" {
		// What is wrong with a name quotes it.
		l.words = l.words[:len(l.words)-1]
	}
	return strings.Join(l.words, ", ")
}

// location is the words for a place, from the outside in.
type location struct {
	words []string
	// named tells whether the last of them is a name.
	named bool
}

func (l *location) add(named bool, format string, args ...any) {
	l.words = append(l.words, fmt.Sprintf(format, args...))
	l.named = named
}

// part adds one of several parts of a kind. certain tells whether it is certainly the
// one of that index.
func (l *location) part(kind, name string, index int, certain bool) {
	switch {
	case name != "" && name != Unknown:
		if runes := []rune(name); len(runes) > maxLocatedName {
			name = string(runes[:maxLocatedName]) + "…"
		}
		l.add(true, "%s %q", kind, name)
	case certain:
		l.add(false, "%s %d", kind, index+1)
	default:
		l.named = false
	}
}

func (l *location) stage(def *Definition, index int, rest Path) {
	stage := &def.Stages[index]
	l.part("stage", stage.Name, index, !hasOpaque(def.Stages[:index], opaqueStage))
	if len(rest) == 0 {
		return
	}
	step, below := rest[0], rest[1:]
	if step.Field == "actions" && step.Index >= 0 && step.Index < len(stage.Actions) {
		action := &stage.Actions[step.Index]
		l.part("action", action.Name, step.Index, !hasOpaque(stage.Actions[:step.Index], opaqueAction))
		l.withEnvironment(action.EnvironmentVariables, below)
		return
	}
	for _, kind := range []ConditionKind{ConditionBeforeEntry, ConditionOnSuccess, ConditionOnFailure} {
		if step.Field != strings.ToLower(string(kind)) {
			continue
		}
		l.add(false, "%s", step.Field)
		if len(below) > 0 && below[0].Field == "condition" {
			below = below[1:]
		}
		l.rule(stage.Condition(kind), below)
		return
	}
	l.fields(rest)
}

func (l *location) rule(condition *Condition, path Path) {
	if condition == nil || len(path) == 0 || path[0].Field != "rules" || path[0].Index < 0 || path[0].Index >= len(condition.Rules) {
		l.fields(path)
		return
	}
	index := path[0].Index
	rule := &condition.Rules[index]
	l.part("rule", rule.Name, index, !hasOpaque(condition.Rules[:index], opaqueRule))
	l.withEnvironment(rule.EnvironmentVariables, path[1:])
}

// withEnvironment adds what is below an action or a rule.
func (l *location) withEnvironment(variables []EnvironmentVariable, path Path) {
	if len(path) > 0 && path[0].Field == "environment_variables" && path[0].Index >= 0 && path[0].Index < len(variables) {
		index := path[0].Index
		l.part("environment variable", variables[index].Name, index, !hasOpaque(variables[:index], opaqueEnvironment))
		path = path[1:]
	}
	l.fields(path)
}

// fields adds the elements of lists and maps on the path. A field that holds one value is
// left out, since messages say what they are about.
func (l *location) fields(path Path) {
	for _, step := range path {
		switch {
		case step.HasKey:
			l.part(step.Field, step.Key, 0, false)
		case step.Index >= 0:
			l.add(false, "%s %d", strings.TrimSuffix(strings.ReplaceAll(step.Field, "_", " "), "s"), step.Index+1)
		}
	}
}

func hasOpaque[T any](list []T, opaque func(*T) bool) bool {
	_, complete := countKnown(list, opaque)
	return !complete
}
