package approval

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxGuards bounds the parts that a report lists.
const maxGuards = 100

// Outline is what approval rules see of a pipeline.
type Outline struct {
	Pipeline string
	Stages   []StageOutline
}

// StageOutline is what approval rules see of a stage.
type StageOutline struct {
	Name string
	// Manual are its manual approval actions, Other its other actions.
	Manual, Other []string
	// OnRollback says which gates its automatic rollbacks skip.
	OnRollback pipeline.OnRollback
}

// OutlineOf returns the outline of a definition.
func OutlineOf(name string, def *pipeline.Definition) Outline {
	outline := Outline{Pipeline: name, Stages: make([]StageOutline, len(def.Stages))}
	for i := range def.Stages {
		stage := StageOutline{Name: def.Stages[i].Name, OnRollback: def.Stages[i].OnRollback}
		for _, a := range def.Stages[i].Actions {
			if a.Category == pipeline.CategoryApproval {
				stage.Manual = append(stage.Manual, a.Name)
			} else {
				stage.Other = append(stage.Other, a.Name)
			}
		}
		outline.Stages[i] = stage
	}
	return outline
}

// Guard is a part of a pipeline that a rule guards.
type Guard struct {
	Pipeline string
	Part
	// SkippedOnRollback tells that automatic rollbacks of the stage skip the approval.
	SkippedOnRollback bool
}

// Warning says that an entry of a rule matches nothing.
type Warning struct {
	// Path is the entry's, as in an approval rule of the contract.
	Path    pipeline.Path
	Reason  pipeline.Reason
	Message string
}

// Report is what a rule does in its account now.
type Report struct {
	// Guards are the first parts, by pipeline and in the order of its stages; Count is how
	// many there are.
	Guards   []Guard
	Count    int
	Warnings []Warning
	// Skips are what automatic rollbacks skip in the stages that the rule guards, by
	// pipeline.
	Skips []PipelineSkip
}

// PipelineSkip is a Skip in a pipeline.
type PipelineSkip struct {
	Pipeline string
	Skip
}

// Inspect reports what a rule guards in the pipelines of its account, which of its entries
// match nothing, which users and groups no token that may approve has, and whether enough
// people may approve. A stage is looked for in the pipelines that the rule matches, an action in the stages that it
// matches. A pipeline that has no stages yet is not finished, so that nothing is missing
// in it.
func Inspect(rule *store.ApprovalRule, pipelines []Outline, people People) Report {
	x := newInspection(rule)
	for i := range pipelines {
		x.look(&pipelines[i])
	}
	x.judgePipelines(pipelines)
	x.judgeStages()
	x.judgeActions()
	x.judgePeople("users", "of", "user", rule.Users, people.users(), people.Hidden)
	x.judgePeople("groups", "in", "group", rule.Groups, people.groups(), people.Hidden)
	x.judgeCount(people)
	return x.report
}

// Concerns reports whether a rule matches a pipeline.
func Concerns(rule *store.ApprovalRule, pipelineName string) bool {
	return matches(rule.Pipelines, pipelineName)
}

// About tells whether a warning of a rule that matches a pipeline is about what is in that
// pipeline: an entry for stages or actions, or the one that matches the pipeline itself.
func About(rule *store.ApprovalRule, w Warning, pipelineName string) bool {
	last := w.Path[len(w.Path)-1]
	return last.Field != "pipelines" || matches(rule.Pipelines[last.Index:last.Index+1], pipelineName)
}

// inspection collects what one rule matches.
type inspection struct {
	rule                       *store.ApprovalRule
	pipelines, stages, actions []*entry
	// matched are the pipelines with stages that the rule matches, within the stages of
	// these that it matches.
	matched []*Outline
	within  []stageOf
	report  Report
}

type stageOf struct {
	pipeline string
	*StageOutline
}

// entry is a pattern of a rule and what it matched.
type entry struct {
	pattern string
	// prefix is what every name begins with that the pattern matches: all of a literal one.
	prefix  string
	literal bool
	broken  bool
	// matched tells that it matched a name, guards that this led to a guarded part.
	matched, guards bool
}

func newInspection(rule *store.ApprovalRule) *inspection {
	entries := func(patterns []string) []*entry {
		all := make([]*entry, len(patterns))
		for i, pattern := range patterns {
			prefix := pattern
			if special := strings.IndexAny(pattern, `*?[{\`); special >= 0 {
				prefix = pattern[:special]
			}
			all[i] = &entry{
				pattern: pattern, prefix: prefix, literal: prefix == pattern,
				// As in matches: what could not be stored today matches everything.
				broken: pipeline.CheckGlob(pattern) != nil,
			}
		}
		return all
	}
	return &inspection{rule: rule, pipelines: entries(rule.Pipelines), stages: entries(rule.Stages), actions: entries(rule.Actions)}
}

// matches is as the function of that name, of a pattern that was looked at before.
func (e *entry) matches(name string) bool {
	switch {
	case e.broken, e.pattern == "*":
		return true
	case e.literal:
		return e.pattern == name
	case !strings.HasPrefix(name, e.prefix):
		return false
	}
	ok, err := doublestar.Match(e.pattern, name)
	return err != nil || ok
}

// matching returns the entries that match a name, and notes that they do.
func matching(entries []*entry, name string) (found []*entry) {
	for _, e := range entries {
		if e.matches(name) {
			e.matched = true
			found = append(found, e)
		}
	}
	return found
}

// look looks for what the rule guards in a pipeline.
func (x *inspection) look(outline *Outline) {
	by := matching(x.pipelines, outline.Pipeline)
	if len(by) == 0 {
		return
	}
	guards := 0
	if len(outline.Stages) > 0 {
		x.matched = append(x.matched, outline)
	} else {
		guards = 1 // Nothing is missing yet.
	}
	for i := range outline.Stages {
		stage := &outline.Stages[i]
		stages := matching(x.stages, stage.Name)
		if len(x.stages) > 0 && len(stages) == 0 {
			continue
		}
		if len(x.stages)+len(x.actions) > 0 {
			x.within = append(x.within, stageOf{outline.Pipeline, stage})
		}
		here := x.guard(outline.Pipeline, stage)
		guards += here
		for _, e := range stages {
			e.guards = e.guards || here > 0
		}
	}
	for _, e := range by {
		e.guards = e.guards || guards > 0
	}
}

// guard notes what the rule guards of a stage that it matches, and returns how much that
// is.
func (x *inspection) guard(pipelineName string, stage *StageOutline) int {
	if len(x.stages) > 0 && len(x.actions) == 0 {
		x.add(pipelineName, stage, "")
		return 1
	}
	count := 0
	for _, name := range stage.Manual {
		if len(x.actions) == 0 || len(matching(x.actions, name)) > 0 {
			x.add(pipelineName, stage, name)
			count++
		}
	}
	return count
}

func (x *inspection) add(pipelineName string, stage *StageOutline, action string) {
	x.report.Count++
	part := Part{Rule: x.rule.Name, Stage: stage.Name, Action: action}
	if len(x.report.Guards) < maxGuards {
		x.report.Guards = append(x.report.Guards, Guard{pipelineName, part, stage.OnRollback.SkipApprovals})
	}
	for _, skip := range skipsOf(part, stage.OnRollback) {
		if skip := (PipelineSkip{pipelineName, skip}); !slices.Contains(x.report.Skips, skip) {
			x.report.Skips = append(x.report.Skips, skip)
		}
	}
}

// warn adds a warning about an entry of a field of the selector.
func (x *inspection) warn(field string, index int, reason pipeline.Reason, format string, args ...any) {
	x.warnAt(pipeline.Path(nil).Field("selector").At(field, index), reason, format, args...)
}

func (x *inspection) warnAt(path pipeline.Path, reason pipeline.Reason, format string, args ...any) {
	x.report.Warnings = append(x.report.Warnings, Warning{
		Path: path, Reason: reason, Message: fmt.Sprintf("rule %s: %s", x.rule.Name, fmt.Sprintf(format, args...)),
	})
}

func (x *inspection) judgePipelines(all []Outline) {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Pipeline
	}
	for i, e := range x.pipelines {
		switch {
		case !e.matched && len(all) == 0 && !e.literal:
			// A pattern for pipelines to come.
		case !e.matched && len(all) == 0:
			x.warn("pipelines", i, pipeline.ReasonSelectorMatchesNothing, "pipeline %q matches nothing; account %s has no pipelines yet",
				e.pattern, x.rule.Account)
		case !e.matched:
			x.warn("pipelines", i, pipeline.ReasonSelectorMatchesNothing, "pipeline %q matches nothing; account %s has %s%s",
				e.pattern, x.rule.Account, list("pipeline", names), didYouMean(e, names))
		case !e.guards && len(x.rule.Stages)+len(x.rule.Actions) == 0:
			x.warn("pipelines", i, pipeline.ReasonSelectorGuardsNothing, "%q guards nothing; %s no manual approval action",
				e.pattern, having("pipeline", x.pipelinesOf(e)))
		case !e.guards && x.report.Count > 0:
			// If the rule guards nothing at all, its stages and actions are at fault.
			x.warn("pipelines", i, pipeline.ReasonSelectorGuardsNothing, "%q guards nothing, because %s", e.pattern, x.whyUnguarded(e))
		}
	}
}

// whyUnguarded says what a rule with stages or actions does not match in the pipelines that
// an entry matches, none of which it guards.
func (x *inspection) whyUnguarded(e *entry) string {
	within, manual := false, []string(nil)
	for _, s := range x.within {
		if e.matches(s.pipeline) {
			within, manual = true, appendNew(manual, s.Manual...)
		}
	}
	pipelines := x.pipelinesOf(e)
	if within {
		return fmt.Sprintf("the rule matches no action; %s %s", having("pipeline", pipelines), list("manual approval action", manual))
	}
	var stages []string
	for _, outline := range x.matched {
		if !e.matches(outline.Pipeline) {
			continue
		}
		for i := range outline.Stages {
			stages = appendNew(stages, outline.Stages[i].Name)
		}
	}
	return fmt.Sprintf("the rule matches no stage; %s %s", having("pipeline", pipelines), list("stage", stages))
}

// pipelinesOf returns the pipelines with stages that an entry matches.
func (x *inspection) pipelinesOf(e *entry) (names []string) {
	for _, outline := range x.matched {
		if e.matches(outline.Pipeline) {
			names = append(names, outline.Pipeline)
		}
	}
	return names
}

func (x *inspection) judgeStages() {
	if len(x.matched) == 0 || !slices.ContainsFunc(x.stages, func(e *entry) bool { return !e.guards }) {
		return
	}
	var pipelines, stages []string
	for _, outline := range x.matched {
		pipelines = append(pipelines, outline.Pipeline)
		for i := range outline.Stages {
			stages = appendNew(stages, outline.Stages[i].Name)
		}
	}
	for i, e := range x.stages {
		switch {
		case !e.matched:
			x.warn("stages", i, pipeline.ReasonSelectorMatchesNothing, "stage %q matches nothing; %s %s%s",
				e.pattern, having("pipeline", pipelines), list("stage", stages), didYouMean(e, stages))
		case !e.guards && !x.hasManual(e):
			x.warn("stages", i, pipeline.ReasonSelectorMatchesNothing,
				"stage %q has no manual approval action, and a rule with actions guards only those", e.pattern)
		}
	}
}

// hasManual tells whether a stage that an entry matches has a manual approval action.
func (x *inspection) hasManual(e *entry) bool {
	return slices.ContainsFunc(x.within, func(s stageOf) bool { return e.matches(s.Name) && len(s.Manual) > 0 })
}

func (x *inspection) judgeActions() {
	if len(x.within) == 0 || !slices.ContainsFunc(x.actions, func(e *entry) bool { return !e.matched }) {
		return
	}
	var stages, pipelines, manual, other []string
	for _, s := range x.within {
		stages, pipelines = appendNew(stages, s.Name), appendNew(pipelines, s.pipeline)
		manual, other = appendNew(manual, s.Manual...), appendNew(other, s.Other...)
	}
	where := fmt.Sprintf("%s of %s", having("stage", stages), named("pipeline", pipelines))
	if len(stages) == 1 {
		where = fmt.Sprintf("stage %s of %s has", stages[0], named("pipeline", pipelines))
	}
	for i, e := range x.actions {
		others := slices.DeleteFunc(slices.Clone(other), func(name string) bool { return !e.matches(name) })
		switch {
		case e.matched:
		case len(others) > 0:
			x.warn("actions", i, pipeline.ReasonSelectorMatchesNothing,
				"action %q matches no manual approval action; %s is not a manual approval action, and rules guard only those", e.pattern, others[0])
		case len(manual) == 0:
			x.warn("actions", i, pipeline.ReasonSelectorMatchesNothing, "action %q matches nothing; %s no manual approval action",
				e.pattern, where)
		default:
			x.warn("actions", i, pipeline.ReasonSelectorMatchesNothing, "action %q matches nothing; %s %s%s",
				e.pattern, where, list("manual approval action", manual), didYouMean(e, manual))
		}
	}
}

// judgePeople warns of wanted users or groups that no approver token has. word is how a token
// relates to them, as in "of user ann".
func (x *inspection) judgePeople(field, word, kind string, wanted, have []string, hidden bool) {
	for i, name := range wanted {
		if slices.Contains(have, name) {
			continue
		}
		known := ""
		if !hidden {
			known = "; approver tokens are " + word + " " + list(kind, have) + didYouMean(&entry{pattern: name, literal: true}, have)
		}
		x.warnAt(pipeline.Path(nil).At(field, i), pipeline.ReasonApproverUnknown, "no token %s %s %q can approve in account %s%s",
			word, kind, name, x.rule.Account, known)
	}
}

// judgeCount looks whether enough people may approve. If none of the named ones may, that
// is said of each.
func (x *inspection) judgeCount(people People) {
	if len(x.rule.Users)+len(x.rule.Groups) > 0 && len(people.able(&x.rule.Requirement)) == 0 {
		return
	}
	if message := TooFew(&x.rule.Requirement, x.rule.Account, people); message != "" {
		x.warnAt(pipeline.Path(nil).Field("minimum_count"), pipeline.ReasonTooFewApprovers, "%s", message)
	}
}

// didYouMean returns a question to end a message with, or nothing if no name is close.
func didYouMean(e *entry, names []string) string {
	if !e.literal {
		return ""
	}
	if name := pipeline.Nearest(e.pattern, names); name != "" {
		return fmt.Sprintf("; did you mean %s?", name)
	}
	return ""
}

// having names things as the subject of a sentence about what they have.
func having(kind string, names []string) string {
	if len(names) == 1 {
		return named(kind, names) + " has"
	}
	return named(kind, names) + " have"
}

// named is a noun with its names.
func named(kind string, names []string) string {
	if len(names) == 1 {
		return kind + " " + names[0]
	}
	return kind + "s " + pipeline.Enumerate(names)
}

// list is named for what something has.
func list(kind string, names []string) string {
	if len(names) == 0 {
		return "no " + kind
	}
	return named(kind, names)
}

func appendNew(all []string, names ...string) []string {
	for _, name := range names {
		if !slices.Contains(all, name) {
			all = append(all, name)
		}
	}
	return all
}
