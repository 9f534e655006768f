package pipeline

import (
	"fmt"
	"time"
)

// The reasons of warnings about deployment windows.
const (
	// WarningWindowOver: a deployment window was open for the last time.
	WarningWindowOver Reason = "WINDOW_OVER"
	// WarningWindowsApart: the deployment windows of a condition do not open together.
	WarningWindowsApart Reason = "WINDOWS_APART"
)

// Beyond these nobody looks for a time at which windows are open together.
const (
	maxApart      = 4 * 366 * 24 * time.Hour
	maxApartSteps = 10000
)

// WarningsAt returns what may surprise in a valid definition from a time on: Warnings, and
// deployment windows that will not open.
func WarningsAt(def *Definition, catalog *Catalog, now time.Time) []Warning {
	warnings := Warnings(def, catalog)
	for i := range def.Stages {
		stage := &def.Stages[i]
		for _, c := range conditionsAt(stage, Path(nil).At("stages", i)) {
			warnings = append(warnings, windowsNotOpening(def, catalog, c, now)...)
		}
	}
	return warnings
}

// placedCondition is a condition with its path.
type placedCondition struct {
	*Condition
	path Path
}

// conditionsAt returns the conditions that the stage at a path has.
func conditionsAt(stage *Stage, path Path) []placedCondition {
	var placed []placedCondition
	for _, c := range []struct {
		kind ConditionKind
		path Path
	}{
		{ConditionBeforeEntry, path.Field("before_entry")},
		{ConditionOnSuccess, path.Field("on_success")},
		{ConditionOnFailure, path.Field("on_failure").Field("condition")},
	} {
		if condition := stage.Condition(c.kind); condition != nil {
			placed = append(placed, placedCondition{condition, c.path})
		}
	}
	return placed
}

// windowsNotOpening returns a warning for each window of a condition that is over, or else
// for all of them if they do not open together. Windows that are not known yet, or refused,
// are left out.
func windowsNotOpening(def *Definition, catalog *Catalog, c placedCondition, now time.Time) []Warning {
	var warnings []Warning
	var all []Opening
	known := true
	for i := range c.Rules {
		rule := &c.Rules[i]
		kind, found := catalog.Lookup(rule.TypeID())
		if found && kind.Work != WorkTimed {
			continue
		}
		w, read := opening(&kind, rule)
		if !read {
			known = false
			continue
		}
		all = append(all, w)
		if _, opens := w.Next(now); !opens {
			at := c.path.At("rules", i)
			warnings = append(warnings, Warning{
				Path: at.Entry("configuration", w.Property), Reason: WarningWindowOver,
				Summary: fmt.Sprintf("The deployment window of %s never opens again", Locate(def, at)),
				Message: fmt.Sprintf("%s: the window %q never opens again, so the rule fails; change its years", Locate(def, at), rule.Configuration[w.Property]),
			})
		}
	}
	if len(warnings) > 0 || !known || len(all) < 2 || openTogether(all, now) {
		return warnings
	}
	where := Locate(def, c.path)
	return []Warning{{
		Path: c.path.Field("rules"), Reason: WarningWindowsApart,
		Summary: fmt.Sprintf("The deployment windows of %s are not open together", where),
		Message: fmt.Sprintf("%s: all deployment windows of a condition must be open at the same time, and these never are within four years, so the condition fails; "+
			"write one window for both, or remove one", where),
	}}
}

// opening returns when a rule of a type is open, and false if that cannot be told.
func opening(kind *Type, rule *Rule) (Opening, bool) {
	values, settled := kind.settled(rule.Configuration, kind.PropertyNames())
	if !settled || kind.Open == nil {
		return Opening{}, false
	}
	opening, err := kind.Open(values)
	return opening, err == nil
}

// openTogether tells whether all windows are open at some time within maxApart, or whether
// that takes too long to find out.
func openTogether(windows []Opening, from time.Time) bool {
	at := from
	for range maxApartSteps {
		moved := false
		for _, w := range windows {
			next, opens := w.Next(at)
			if !opens || next.Sub(from) > maxApart {
				return false
			}
			moved = moved || next.After(at)
			at = next
		}
		if !moved {
			return true
		}
	}
	return true
}
