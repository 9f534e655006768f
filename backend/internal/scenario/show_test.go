package scenario_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// show writes an execution on one line, without what it is called.
func show(e *execution.Execution) string {
	var notes []string
	if e.Version > 1 {
		notes = append(notes, fmt.Sprintf("version %d", e.Version))
	}
	if e.Attempt > 1 {
		notes = append(notes, fmt.Sprintf("attempt %d", e.Attempt))
	}
	if e.Rollback != nil {
		notes = append(notes, fmt.Sprintf("rollback to %d", e.Rollback.TargetNumber))
	}
	head := string(e.Status)
	if len(notes) > 0 {
		head += " (" + strings.Join(notes, ", ") + ")"
	}
	var stages []string
	for _, stage := range e.Stages {
		stages = append(stages, showStage(stage))
	}
	return head + ": " + strings.Join(stages, " > ")
}

func showStage(stage *execution.Stage) string {
	switch {
	case stage.Waiting():
		return "waits for " + stage.Name
	case !stage.Entered():
		return fmt.Sprintf("%s %s, not entered", stage.Name, stage.Status)
	}
	var parts []string
	plain := stage.Status == pipeline.Succeeded && len(stage.Actions) > 0
	if stage.Entry != nil {
		plain = false
		parts = append(parts, showEntry(stage))
	}
	for _, condition := range stage.Conditions {
		plain = false
		if condition.Kind == pipeline.ConditionBeforeEntry {
			parts = append(parts, showCondition(condition))
		}
	}
	for _, a := range stage.Actions {
		text := a.Name + " " + string(a.Status)
		var notes []string
		if a.Attempt > 1 {
			notes = append(notes, fmt.Sprintf("attempt %d", a.Attempt))
		}
		if a.Retried {
			notes = append(notes, "retried")
		}
		if len(notes) > 0 {
			text += " (" + strings.Join(notes, ", ") + ")"
		}
		plain = plain && a.Status == pipeline.Succeeded && len(notes) == 0
		parts = append(parts, text)
	}
	for _, condition := range stage.Conditions {
		if condition.Kind != pipeline.ConditionBeforeEntry {
			parts = append(parts, showCondition(condition))
		}
	}
	text := stage.Name + " " + string(stage.Status)
	if plain || len(parts) == 0 {
		return text
	}
	return text + " (" + strings.Join(parts, ", ") + ")"
}

func showEntry(stage *execution.Stage) string {
	switch {
	case stage.Entry.Skipped != "":
		return "entry skipped"
	case engine.Met(stage.Entry):
		return "entry approved"
	case stage.Live():
		return "waits for approval of the entry"
	}
	return "entry not approved"
}

// nameOf is what a definition calls a condition.
func nameOf(kind pipeline.ConditionKind) string { return strings.ToLower(string(kind)) }

func showCondition(condition *execution.Condition) string {
	text := nameOf(condition.Kind) + " " + string(condition.Status)
	plain := condition.Status == pipeline.Succeeded
	var rules []string
	for _, rule := range condition.Rules {
		plain = plain && rule.Status == pipeline.Succeeded
		rules = append(rules, rule.Name+" "+string(rule.Status))
	}
	if plain || len(rules) == 0 {
		return text
	}
	return text + " [" + strings.Join(rules, ", ") + "]"
}

// states writes all executions.
func (w *world) states() []string {
	w.t.Helper()
	var lines []string
	for _, e := range w.all() {
		lines = append(lines, w.called(e)+" "+show(e))
	}
	return lines
}

// showEvent writes an event, without its message.
func showEvent(ev execution.Event) string {
	text := string(ev.Subject)
	switch ev.Subject {
	case execution.SubjectStage:
		text += " " + ev.Stage
	case execution.SubjectAction:
		text += " " + ev.Stage + "/" + ev.Action
	case execution.SubjectCondition:
		text += " " + ev.Stage + "/" + nameOf(ev.Condition)
	case execution.SubjectExecution:
	}
	text += " " + string(ev.State)
	if ev.Principal != "" {
		text += " by " + ev.Principal
	}
	var notes []string
	if ev.Attempt > 1 {
		notes = append(notes, fmt.Sprintf("attempt %d", ev.Attempt))
	}
	if ev.ExecutionAttempt > 1 {
		notes = append(notes, fmt.Sprintf("execution attempt %d", ev.ExecutionAttempt))
	}
	if len(notes) > 0 {
		text += " (" + strings.Join(notes, ", ") + ")"
	}
	return text
}

func clock(at time.Time) string { return at.UTC().Format("2006-01-02 15:04") }

// explain writes the reasons of an explanation.
func (w *world) explain(explanation service.Explanation) []string {
	lines := w.reasons("", explanation.Reasons)
	if explanation.Status.Terminal() {
		lines = []string{string(explanation.Status) + ": " + explanation.Summary}
	}
	for _, note := range explanation.Notes {
		lines = append(lines, "note: "+note)
	}
	return lines
}

func (w *world) reasons(prefix string, reasons []engine.Reason) []string {
	var lines []string
	for _, r := range reasons {
		line := prefix + string(r.Kind) + ": " + r.Message
		if r.BlockingExecution != "" {
			line += " [blocked by " + w.calledByID(r.BlockingExecution) + "]"
		}
		if r.Place != 0 {
			line += fmt.Sprintf(" [place %d]", r.Place)
		}
		if r.Condition != "" {
			line += fmt.Sprintf(" [%s/%s/%s]", r.Stage, nameOf(r.Condition), r.Rule)
		}
		if !r.Until.IsZero() {
			line += " [until " + clock(r.Until) + "]"
		}
		lines = append(lines, line)
		lines = append(lines, w.reasons(prefix+"because ", r.Causes)...)
	}
	return lines
}

// describe writes the record of an execution, a line for each thing.
func (w *world) describe(e *execution.Execution) []string {
	var d description
	trigger := e.Trigger.Detail
	if trigger != "" {
		trigger = " to " + w.calledByID(trigger)
	}
	d.add("trigger %s%s by %s", e.Trigger.Type, trigger, e.Trigger.Principal)
	d.add("type %s", e.Type)
	d.add("mode %s", e.Mode)
	d.add("summary %s", e.Summary)
	for _, name := range slices.Sorted(maps.Keys(e.Variables)) {
		d.add("variable %s = %s", name, e.Variables[name])
	}
	for _, override := range e.Overrides {
		d.add("override %s at %s %s", override.Action, override.Type, override.Value)
	}
	for _, revision := range e.Revisions {
		d.add("revision %s = %s", revision.Action, revision.ID)
	}
	if e.Rollback != nil {
		d.add("rollback to %s", w.calledByID(e.Rollback.TargetID))
		d.artifacts("rollback artifact", e.Rollback.Artifacts)
		for _, namespace := range slices.Sorted(maps.Keys(e.Rollback.Variables)) {
			for _, key := range slices.Sorted(maps.Keys(e.Rollback.Variables[namespace])) {
				d.add("rollback variable %s.%s = %s", namespace, key, e.Rollback.Variables[namespace][key])
			}
		}
	}
	if e.Stop != nil {
		how := "stopped"
		if e.Stop.Abandon {
			how = "abandoned"
		}
		d.add("%s by %s: %s", how, e.Stop.Principal, e.Stop.Reason)
	}
	if e.Cancel != nil {
		d.add("cancelled by version %d of %s", e.Cancel.Version, e.Cancel.Principal)
	}
	for _, stage := range e.Stages {
		d.stage(stage)
	}
	return d.lines
}

type description struct{ lines []string }

func (d *description) add(format string, args ...any) {
	d.lines = append(d.lines, strings.TrimSpace(fmt.Sprintf(format, args...)))
}

func (d *description) artifacts(what string, artifacts []action.Artifact) {
	for _, artifact := range artifacts {
		d.add("%s %s = %s", what, artifact.Name, artifact.Digest)
	}
}

func (d *description) failure(what string, failure *action.Failure) {
	if failure != nil {
		d.add("%s failure %s: %s", what, failure.Code, failure.Message)
	}
}

func (d *description) configuration(what string, configuration map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(configuration)) {
		d.add("%s configuration %s = %s", what, key, configuration[key])
	}
}

func (d *description) approval(what string, approval *execution.Approval) {
	if approval == nil {
		return
	}
	for _, r := range approval.Requirements {
		d.add("%s needs %d by rule %s", what, r.MinimumCount, r.Rule)
	}
	if approval.Skipped != "" {
		d.add("%s %s", what, approval.Skipped)
		return
	}
	for _, v := range approval.Decisions {
		word := "approved"
		if !v.Approved {
			word = "rejected"
		}
		d.add("%s %s by %s: %s", what, word, v.Principal, v.Comment)
	}
	d.add("%s expires at %s", what, clock(approval.ExpiresAt))
}

func (d *description) stage(stage *execution.Stage) {
	if r := stage.Retries; r != nil {
		d.add("%s retried automatically %d, manually %d, last %s at %s", stage.Name, r.Automatic, r.Manual, r.Last, clock(r.LastAt))
	}
	d.approval(stage.Name, stage.Entry)
	for _, condition := range stage.Conditions {
		what := stage.Name + "/" + nameOf(condition.Kind)
		d.add("%s %s: %s", what, condition.Status, condition.Summary)
		if o := condition.Override; o != nil {
			d.add("%s overridden by %s at %s: %s", what, o.Principal, clock(o.At), o.Reason)
		}
		for _, rule := range condition.Rules {
			d.add("%s/%s %s: %s", what, rule.Name, rule.Status, rule.Summary)
			d.failure(what+"/"+rule.Name, rule.Failure)
			d.configuration(what+"/"+rule.Name, rule.Configuration)
		}
	}
	executions := make(map[string]map[string]bool)
	for _, a := range stage.Actions {
		what := stage.Name + "/" + a.Name
		if executions[what] == nil {
			executions[what] = make(map[string]bool)
		}
		executions[what][a.ID] = true
		if a.Retried {
			what = "retried " + what
		}
		d.add("%s summary %s", what, a.Details.Summary)
		d.failure(what, a.Details.Failure)
		d.configuration(what, a.Details.Configuration)
		for _, key := range slices.Sorted(maps.Keys(a.Details.Variables)) {
			d.add("%s variable %s = %s", what, key, a.Details.Variables[key])
		}
		d.artifacts(what+" input", a.Details.Inputs)
		d.artifacts(what+" output", a.Details.Outputs)
		d.add("%s external %s %s", what, a.Details.ExternalID, a.Details.ExternalURL)
		d.approval(what, a.Details.Approval)
	}
	for _, what := range slices.Sorted(maps.Keys(executions)) {
		d.add("%s is %d action executions", what, len(executions[what]))
	}
}

// describeAttempt writes what a runner was given.
func describeAttempt(a *action.Attempt) []string {
	var d description
	d.add("attempt %d", a.Number)
	d.add("type %s", a.Action.TypeID())
	d.add("timeout %s", a.Timeout)
	for _, command := range a.Action.Commands {
		d.add("command %s", command)
	}
	for _, key := range slices.Sorted(maps.Keys(a.Action.Configuration)) {
		d.add("configuration %s = %s", key, a.Action.Configuration[key])
	}
	for _, env := range a.Action.EnvironmentVariables {
		d.add("env %s = %s", env.Name, env.Value)
	}
	d.artifacts("input", a.Inputs)
	for _, artifact := range a.Action.OutputArtifacts {
		d.add("output %s", artifact.Name)
	}
	return d.lines
}

// describeState writes the stages of a pipeline.
func (w *world) describeState(view service.StateView) []string {
	var d description
	d.add("version %d, %s", view.Version, view.Mode)
	if len(view.Stages) == 0 {
		d.add("no stages")
	}
	for _, stage := range view.Stages {
		d.add("%s", w.describeStage(stage))
	}
	return d.lines
}

func (w *world) describeStage(stage service.StageView) string {
	call := func(ids ...string) string {
		var names []string
		for _, id := range ids {
			if id != "" {
				names = append(names, w.calledByID(id))
			}
		}
		if len(names) == 0 {
			return "none"
		}
		return strings.Join(names, " ")
	}
	current := ""
	if stage.Holder != nil {
		current = stage.Holder.ID
	}
	var waiting []string
	for _, o := range stage.Waiting {
		waiting = append(waiting, o.ID)
	}
	text := fmt.Sprintf("%s: current %s, waiting %s, latest %s, succeeded %s",
		stage.Name, call(current), call(waiting...), call(stage.Latest), call(stage.Succeeded))
	if t := stage.Transition; t != nil {
		how := "enabled"
		if t.Disabled {
			how = "disabled"
		}
		text += fmt.Sprintf(", %s by %s at %s", how, t.Principal, clock(t.At))
		if t.Reason != "" {
			text += ": " + t.Reason
		}
	}
	return text
}
