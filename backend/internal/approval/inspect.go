package approval

import (
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// maxGuards bounds the parts that a report lists.
	maxGuards = 100
	// maxWarnings bounds the warnings of a report.
	maxWarnings = 20
)

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
	// Entry is the pattern of the selector that has no effect; empty for other warnings.
	Entry string
}

// Report is what a rule does in its account now.
type Report struct {
	// Guards are the first parts, by pipeline and in the order of its stages; Count is how
	// many there are.
	Guards   []Guard
	Count    int
	Warnings []Warning
	// Skips are the first things that automatic rollbacks skip in the stages that the rule
	// guards, by pipeline; SkipCount is how many there are.
	Skips     []PipelineSkip
	SkipCount int
}

// PipelineSkip is a Skip in a pipeline.
type PipelineSkip struct {
	Pipeline string
	Skip
}

// InspectAll reports on rules of one account, each of which may take its part of the steps.
func InspectAll(rules []Rule, pipelines []Outline, people People, steps *Steps) []Report {
	reports := make([]Report, len(rules))
	for i := range rules {
		steps.share(len(rules) - i)
		reports[i] = Inspect(&rules[i], pipelines, people, steps)
	}
	return reports
}

// Inspect reports what a rule guards in the pipelines of its account, which of its entries
// match nothing, which users and groups no token that may approve has, and whether enough
// people may approve. A stage is looked for in the pipelines that the rule matches, an
// action in the stages that it matches. A pipeline that has no stages yet is not finished,
// so that nothing is missing in it. If the steps are used up, a warning says that the report
// is incomplete.
func Inspect(rule *Rule, pipelines []Outline, people People, steps *Steps) Report {
	x := newInspection(rule, steps)
	x.selector(pipelines)
	x.judgePeople("users", "of", "user", rule.Users, people.users(), people.Hidden)
	x.judgePeople("groups", "in", "group", rule.Groups, people.groups(), people.Hidden)
	x.judgeCount(people)
	return x.finish(len(pipelines))
}

// InspectAllFor is InspectAll without people and without the entries for pipelines that do
// not match one pipeline.
func InspectAllFor(pipelineName string, rules []Rule, pipelines []Outline, steps *Steps) []Report {
	reports := make([]Report, len(rules))
	for i := range rules {
		steps.share(len(rules) - i)
		x := newInspection(&rules[i], steps)
		x.only = pipelineName
		x.selector(pipelines)
		reports[i] = x.finish(len(pipelines))
	}
	return reports
}

// MayWarnOf reports whether InspectAllFor may have warnings of a rule for a pipeline: not if
// the rule does not match it, or if each entry of the rule guards a part of it.
func MayWarnOf(rule *Rule, outline *Outline, steps *Steps) bool {
	steps.share(1)
	x := newInspection(rule, steps)
	if len(x.marked(x.pipelines, outline.Pipeline)) == 0 && !x.exhausted {
		return false
	}
	x.only = outline.Pipeline
	x.selector([]Outline{*outline})
	return x.exhausted || len(x.report.Warnings) > 0 || x.report.Count == 0
}

// inspection collects what one rule matches.
type inspection struct {
	rule                       *Rule
	pipelines, stages, actions *entries
	// only is the pipeline whose entries are judged; empty for all.
	only  string
	steps *Steps
	// exhausted tells that the steps were used up.
	exhausted bool
	// matched are the pipelines with stages that the rule matches.
	matched []*pipelineMatch
	report  Report
	// lastSkips are those of the stage at hand.
	lastSkips [2]PipelineSkip
	// more counts the warnings that the report leaves out.
	more int
}

// pipelineMatch is a pipeline that a rule matches, and the stages of it that it matches.
type pipelineMatch struct {
	*Outline
	within []*StageOutline
}

func newInspection(rule *Rule, steps *Steps) *inspection {
	x := &inspection{rule: rule, steps: steps}
	read := func(patterns []string) *entries {
		f, ok := newEntries(patterns, steps)
		x.exhausted = x.exhausted || !ok
		return f
	}
	x.pipelines, x.stages, x.actions = read(rule.Pipelines), read(rule.Stages), read(rule.Actions)
	return x
}

// selector looks for what the rule guards, and then for entries that match nothing.
func (x *inspection) selector(pipelines []Outline) {
	for i := range pipelines {
		if x.exhausted {
			return
		}
		x.look(&pipelines[i])
	}
	if x.exhausted {
		return
	}
	x.judgePipelines(pipelines)
	x.judgeStages()
	x.judgeActions()
}

// finish returns the report, and says in it what it leaves out.
func (x *inspection) finish(pipelines int) Report {
	if x.more > 0 {
		x.report.Warnings = append(x.report.Warnings, Warning{Message: fmt.Sprintf("rule %s: and %d more", x.rule.Name, x.more)})
	}
	if x.exhausted {
		x.report.Warnings = append(x.report.Warnings, Warning{
			Path: pipeline.Path(nil).Field("selector"), Reason: pipeline.ReasonReportIncomplete,
			Message: fmt.Sprintf("not all of rule %s could be checked: matching its patterns with the %d pipelines of account %s takes too long. "+
				"It guards the listed parts and may guard more; use fewer patterns, or names instead", x.rule.Name, pipelines, x.rule.Account),
		})
	}
	return x.report
}

// take uses steps up and reports whether more remain.
func (x *inspection) take(count int) bool {
	if !x.steps.take(count) {
		x.exhausted = true
	}
	return !x.exhausted
}

// matching returns the entries that match a name.
func (x *inspection) matching(f *entries, name string) []*entry {
	found, ok := f.matching(name, x.steps)
	if !ok {
		x.exhausted = true
	}
	return found
}

// marked is matching, and notes that the entries match.
func (x *inspection) marked(f *entries, name string) []*entry {
	found := x.matching(f, name)
	for _, e := range found {
		e.matched = true
	}
	return found
}

// look looks for what the rule guards in a pipeline.
func (x *inspection) look(outline *Outline) {
	by := x.marked(x.pipelines, outline.Pipeline)
	if len(by) == 0 {
		return
	}
	guards := 0
	match := &pipelineMatch{Outline: outline}
	if len(outline.Stages) > 0 {
		x.matched = append(x.matched, match)
		for _, e := range by {
			e.pipelines = append(e.pipelines, match)
		}
	} else {
		guards = 1 // Nothing is missing yet.
	}
	for i := range outline.Stages {
		guards += x.lookInto(match, &outline.Stages[i])
		if x.exhausted {
			return
		}
	}
	for _, e := range by {
		e.guards = e.guards || guards > 0
	}
}

// lookInto looks for what the rule guards in a stage, and returns how much that is.
func (x *inspection) lookInto(match *pipelineMatch, stage *StageOutline) int {
	stages := x.marked(x.stages, stage.Name)
	if len(x.stages.all) > 0 && len(stages) == 0 {
		return 0
	}
	match.within = append(match.within, stage)
	guards := x.guard(match.Pipeline, stage)
	for _, e := range stages {
		e.guards = e.guards || guards > 0
		e.manual = e.manual || len(stage.Manual) > 0
	}
	return guards
}

// guard notes what the rule guards of a stage that it matches, and returns how much that
// is.
func (x *inspection) guard(pipelineName string, stage *StageOutline) int {
	if len(x.stages.all) > 0 && len(x.actions.all) == 0 {
		x.add(pipelineName, stage, "")
		return 1
	}
	count := 0
	for _, name := range stage.Manual {
		if len(x.actions.all) == 0 || len(x.marked(x.actions, name)) > 0 {
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
		skip := PipelineSkip{pipelineName, skip}
		if slices.Contains(x.lastSkips[:], skip) {
			continue
		}
		x.lastSkips[0], x.lastSkips[1] = x.lastSkips[1], skip
		x.report.SkipCount++
		if len(x.report.Skips) < maxGuards {
			x.report.Skips = append(x.report.Skips, skip)
		}
	}
}

// warn adds a warning about an entry of a field of the selector.
func (x *inspection) warn(field string, index int, reason pipeline.Reason, format string, args ...any) {
	patterns := map[string][]string{"pipelines": x.rule.Pipelines, "stages": x.rule.Stages, "actions": x.rule.Actions}[field]
	x.addWarning(Warning{
		Path: pipeline.Path(nil).Field("selector").At(field, index), Reason: reason, Message: fmt.Sprintf(format, args...), Entry: patterns[index],
	})
}

func (x *inspection) warnAt(path pipeline.Path, reason pipeline.Reason, format string, args ...any) {
	x.addWarning(Warning{Path: path, Reason: reason, Message: fmt.Sprintf(format, args...)})
}

func (x *inspection) addWarning(w Warning) {
	if x.full() {
		x.more++
		return
	}
	w.Message = "rule " + x.rule.Name + ": " + w.Message
	x.report.Warnings = append(x.report.Warnings, w)
}

// full tells that further warnings are only counted.
func (x *inspection) full() bool { return len(x.report.Warnings) >= maxWarnings }

func (x *inspection) judgePipelines(all []Outline) {
	names := make([]string, len(all))
	for i := range all {
		names[i] = all[i].Pipeline
	}
	for i, e := range x.pipelines.all {
		if x.only != "" && !slices.Contains(x.matching(x.pipelines, x.only), e) {
			continue
		}
		switch {
		case !e.matched && len(all) == 0 && !e.literal:
			// A pattern for pipelines to come.
		case !e.matched && len(all) == 0:
			x.warn("pipelines", i, pipeline.ReasonSelectorMatchesNothing, "pipeline %q matches nothing; account %s has no pipelines yet",
				e.pattern, x.rule.Account)
		case !e.matched:
			x.warn("pipelines", i, pipeline.ReasonSelectorMatchesNothing, "pipeline %q matches nothing; account %s has %s%s",
				e.pattern, x.rule.Account, list("pipeline", names), x.didYouMean(e, names))
		case !e.guards && len(x.stages.all)+len(x.actions.all) == 0:
			x.warn("pipelines", i, pipeline.ReasonSelectorGuardsNothing, "%q guards nothing; %s no manual approval action",
				e.pattern, having("pipeline", pipelineNames(e.pipelines)))
		case !e.guards && x.report.Count > 0:
			// If the rule guards nothing at all, its stages and actions are at fault.
			x.warn("pipelines", i, pipeline.ReasonSelectorGuardsNothing, "%q guards nothing, because %s", e.pattern, x.whyUnguarded(e))
		}
	}
}

// whyUnguarded says what a rule with stages or actions does not match in the pipelines that
// an entry matches, none of which it guards.
func (x *inspection) whyUnguarded(e *entry) string {
	if x.full() {
		return ""
	}
	within, manual, stages := false, names{}, names{}
	for _, match := range e.pipelines {
		if !x.take(len(match.Stages)) {
			break
		}
		for _, s := range match.within {
			within = true
			manual.add(s.Manual...)
		}
		for i := range match.Stages {
			stages.add(match.Stages[i].Name)
		}
	}
	pipelines := pipelineNames(e.pipelines)
	if within {
		return fmt.Sprintf("the rule matches no action; %s %s", having("pipeline", pipelines), list("manual approval action", manual.all))
	}
	return fmt.Sprintf("the rule matches no stage; %s %s", having("pipeline", pipelines), list("stage", stages.all))
}

func pipelineNames(matched []*pipelineMatch) []string {
	all := make([]string, len(matched))
	for i, match := range matched {
		all[i] = match.Pipeline
	}
	return all
}

func (x *inspection) judgeStages() {
	if len(x.matched) == 0 || !slices.ContainsFunc(x.stages.all, func(e *entry) bool { return !e.guards }) {
		return
	}
	var stages names
	for _, match := range x.matched {
		if !x.take(len(match.Stages)) {
			return
		}
		for i := range match.Stages {
			stages.add(match.Stages[i].Name)
		}
	}
	where := having("pipeline", pipelineNames(x.matched))
	for i, e := range x.stages.all {
		switch {
		case !e.matched:
			x.warn("stages", i, pipeline.ReasonSelectorMatchesNothing, "stage %q matches nothing; %s %s%s",
				e.pattern, where, list("stage", stages.all), x.didYouMean(e, stages.all))
		case !e.guards && !e.manual:
			x.warn("stages", i, pipeline.ReasonSelectorMatchesNothing,
				"stage %q has no manual approval action, and a rule with actions guards only those", e.pattern)
		}
	}
}

func (x *inspection) judgeActions() {
	if !slices.ContainsFunc(x.actions.all, func(e *entry) bool { return !e.matched }) {
		return
	}
	var stages, pipelines, manual, other names
	for _, match := range x.matched {
		for _, s := range match.within {
			if !x.take(1 + len(s.Manual) + len(s.Other)) {
				return
			}
			stages.add(s.Name)
			pipelines.add(match.Pipeline)
			manual.add(s.Manual...)
			other.add(s.Other...)
		}
	}
	if len(stages.all) == 0 {
		return
	}
	// others are the first actions of another category that entries match.
	others := make(map[*entry]string)
	for _, name := range other.all {
		for _, e := range x.matching(x.actions, name) {
			if others[e] == "" {
				others[e] = name
			}
		}
		if x.exhausted {
			return
		}
	}
	where := fmt.Sprintf("%s of %s", having("stage", stages.all), named("pipeline", pipelines.all))
	if len(stages.all) == 1 {
		where = fmt.Sprintf("stage %s of %s has", stages.all[0], named("pipeline", pipelines.all))
	}
	for i, e := range x.actions.all {
		switch {
		case e.matched:
		case others[e] != "":
			x.warn("actions", i, pipeline.ReasonSelectorMatchesNothing,
				"action %q matches no manual approval action; %s is not a manual approval action, and rules guard only those", e.pattern, others[e])
		case len(manual.all) == 0:
			x.warn("actions", i, pipeline.ReasonSelectorMatchesNothing, "action %q matches nothing; %s no manual approval action",
				e.pattern, where)
		default:
			x.warn("actions", i, pipeline.ReasonSelectorMatchesNothing, "action %q matches nothing; %s %s%s",
				e.pattern, where, list("manual approval action", manual.all), x.didYouMean(e, manual.all))
		}
	}
}

// judgePeople warns of wanted users or groups that no approver token has. word is how a token
// relates to them, as in "of user ann".
func (x *inspection) judgePeople(field, word, kind string, wanted, have []string, hidden bool) {
	for i, name := range wanted {
		if _, found := slices.BinarySearch(have, name); found {
			continue
		}
		known := ""
		if !hidden {
			known = "; approver tokens are " + word + " " + list(kind, have) + x.didYouMean(&entry{pattern: name, literal: true}, have)
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

const (
	// stepsPerDistance is what the comparison of two words takes, about.
	stepsPerDistance = 300
	// maxCandidates are as many names as Nearest compares.
	maxCandidates = 1000
)

// didYouMean returns a question to end a message with, or nothing if no name is close.
func (x *inspection) didYouMean(e *entry, names []string) string {
	if !e.literal || x.full() || len(names) > maxCandidates || !x.steps.spare(stepsPerDistance*len(names)) {
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

// names are distinct, in the order in which they were added.
type names struct {
	all  []string
	have map[string]bool
}

func (n *names) add(all ...string) {
	for _, name := range all {
		if n.have[name] {
			continue
		}
		if n.have == nil {
			n.have = make(map[string]bool)
		}
		n.have[name] = true
		n.all = append(n.all, name)
	}
}
