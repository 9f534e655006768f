package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// view returns the view that fits where the output goes.
func (a *app) view(c *client.Client, e *headracev1.Execution) view {
	if a.json() {
		return &jsonView{app: a}
	}
	if a.Terminal != nil {
		if _, _, ok := a.Terminal(); ok {
			return &liveView{app: a, client: c, execution: e, color: a.Getenv("NO_COLOR") == ""}
		}
	}
	return &plainView{app: a, client: c, execution: e, told: map[string]bool{}}
}

// jsonView prints one object a line: {"event": …} for each event and one
// {"execution": …} at the end.
type jsonView struct{ app *app }

func (v *jsonView) event(e *headracev1.Event) {
	v.print(v.app.out.object(&headracev1.WatchExecutionResponse{Event: e}))
}

func (v *jsonView) state(*explained) {}

func (v *jsonView) notice(text string) { v.app.err.linef("headrace: %s", text) }

func (v *jsonView) tick() {}

func (v *jsonView) end(why *explained) {
	v.print(v.app.out.object(&headracev1.GetExecutionResponse{Execution: why.execution}))
}

func (v *jsonView) print(err error) {
	if v.app.out.failure == nil {
		v.app.out.failure = err
	}
}

// plainView prints one line an event, and a wait once when it begins.
type plainView struct {
	app       *app
	client    *client.Client
	execution *headracev1.Execution
	told      map[string]bool
}

func (v *plainView) line(clock, state, where, text string) {
	line := fmt.Sprintf("%s  %-10s  %-24s  %s", clock, state, where, text)
	v.app.out.linef("%s", strings.TrimRight(line, " "))
}

func (v *plainView) event(e *headracev1.Event) {
	where := place(e.GetStage(), e.GetAction())
	switch e.GetSubject() {
	case headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION:
		where = label(v.execution)
		if triggered := triggeredText(v.execution); e.GetState() == "STARTED" && triggered != "" {
			v.line(clockText(e.GetEventTime()), e.GetState(), where, "by trigger "+triggered)
			return
		}
		if e.GetExecutionAttempt() > 1 {
			where += fmt.Sprintf(" (attempt %d)", e.GetExecutionAttempt())
		}
	case headracev1.EventSubject_EVENT_SUBJECT_CONDITION:
		where += "/" + kindText(e.GetCondition())
	default:
	}
	if e.GetAttempt() > 1 {
		where += fmt.Sprintf(" (attempt %d)", e.GetAttempt())
	}
	text := oneLine(e.GetMessage())
	if by := oneLine(e.GetPrincipal()); by != "" {
		text = strings.TrimSpace("by " + by + "  " + text)
	}
	v.line(clockText(e.GetEventTime()), e.GetState(), where, text)
}

func (v *plainView) state(why *explained) {
	for _, reason := range why.GetReasons() {
		// The same wait may come again after a retry, with another beginning.
		key := fmt.Sprint(reason.GetKind(), reasonPlace(reason), reason.GetSince().AsTime())
		if reason.GetKind() == headracev1.WaitKind_WAIT_KIND_ACTION_RUNNING || v.told[key] {
			continue
		}
		v.told[key] = true
		since := reason.GetSince()
		if since == nil {
			since = timestamppb.New(v.app.Now())
		}
		v.line(clockText(since), "WAITING", reasonPlace(reason), oneLine(reason.GetMessage()))
		v.app.out.lines(v.app.reasonLines(v.client, why, why.execution.GetName(), reason)[1:])
	}
}

func (v *plainView) notice(text string) { v.app.err.linef("headrace: %s", text) }

func (v *plainView) tick() {}

func (v *plainView) end(why *explained) {
	v.app.out.lines(v.app.endLines(v.client, why))
}

// endLines says how an execution ended, where to look when it did not succeed and
// how to bring it back.
func (a *app) endLines(c *client.Client, why *explained) []string {
	e := why.execution
	head := fmt.Sprintf("%s  %s in %s", label(e), statusText(e.GetStatus()), elapsed(e.GetStartTime(), e.GetEndTime(), a.Now()))
	if summary := oneLine(summaryText(e)); summary != "" {
		head += ": " + summary
	}
	lines := []string{head}
	failed := func(where string, failure *headracev1.ErrorDetails, hasLog bool) {
		if failure == nil {
			return
		}
		indent := "  "
		// The summary tells the first failure already.
		if said := oneLine(failure.GetMessage()); !strings.Contains(head, said) {
			lines = append(lines, fmt.Sprintf("  %s failed with %s: %s", where, failure.GetCode(), said))
			indent += "  "
		}
		if hasLog {
			lines = append(lines, indent+"its log: "+a.hint(c, "logs "+label(e)+" "+where))
		}
	}
	for _, stage := range e.GetStages() {
		for _, action := range stage.GetActions() {
			if action.GetRetried() {
				continue
			}
			where := place(stage.GetStage(), action.GetAction())
			failed(where, action.GetError(), action.GetHasLog())
			if remarks := remarksOf(action); remarks != "" {
				lines = append(lines, fmt.Sprintf("  %s: %s", where, remarks))
			}
		}
		for _, condition := range newestConditions(stage) {
			for _, rule := range condition.GetRules() {
				where := place(stage.GetStage(), kindText(condition.GetKind())) + "/" + rule.GetRule()
				said := oneLine(rule.GetSummary())
				notMet := rule.GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED && rule.GetError() == nil
				if notMet && stage.GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED && !strings.Contains(head, said) {
					lines = append(lines, fmt.Sprintf("  %s was not met: %s", where, said))
				}
				failed(where, rule.GetError(), rule.GetHasLog())
			}
		}
	}
	lines = append(lines, a.backLines(c, why)...)
	return append(lines, noteLines(why.GetNotes())...)
}

// remarksOf returns what the summary of an action that succeeded says behind what it did, such as
// files that were discarded: whoever sees only that all is green should see that too.
func remarksOf(action *headracev1.ActionExecution) string {
	if action.GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED || action.GetCategory() == string(pipeline.CategoryApproval) {
		// The summary of an approval is what a person wrote.
		return ""
	}
	_, remarks, _ := strings.Cut(action.GetSummary(), "; ")
	return oneLine(remarks)
}

// newestConditions returns the newest check of each condition, without those that
// somebody overrode.
func newestConditions(stage *headracev1.StageExecution) []*headracev1.ConditionExecution {
	var found []*headracev1.ConditionExecution
	for i, condition := range stage.GetConditions() {
		again := slices.ContainsFunc(stage.GetConditions()[i+1:], func(later *headracev1.ConditionExecution) bool {
			return later.GetKind() == condition.GetKind()
		})
		if !again && condition.GetOverride() == nil {
			found = append(found, condition)
		}
	}
	return found
}

// liveView redraws the whole execution in place.
type liveView struct {
	app       *app
	client    *client.Client
	execution *headracev1.Execution
	// why is nil until the server was asked, and once the execution has ended.
	why   *explained
	told  string
	color bool
	// drawn is how many rows the cursor stands below the first.
	drawn int
}

func (v *liveView) event(*headracev1.Event) {}

func (v *liveView) state(why *explained) {
	v.execution, v.why, v.told = why.execution, why, ""
	v.draw(nil)
}

func (v *liveView) notice(text string) {
	v.told = text
	v.draw(nil)
}

func (v *liveView) tick() { v.draw(nil) }

func (v *liveView) end(why *explained) {
	v.execution, v.why, v.told = why.execution, nil, ""
	v.draw(v.app.endLines(v.client, why))
	v.drawn = 0
}

// draw replaces what was drawn before. What does not fit the height loses its
// beginning, since the cursor cannot go back beyond the screen.
func (v *liveView) draw(last []string) {
	width, height, _ := v.app.Terminal()
	lines := executionLines(v.execution, v.app.Now())
	if v.why == nil || !asksForApproval(v.why) {
		for i, line := range startedLines(v.execution, width) {
			lines = slices.Insert(lines, 1+i, shownLine{text: line})
		}
	}
	if v.why != nil {
		lines = append(lines, v.whyLines()...)
	}
	if v.told != "" {
		lines = append(lines, shownLine{}, shownLine{text: v.told, whole: true})
	}
	for i, text := range last {
		if i == 0 {
			lines = append(lines, shownLine{})
		}
		lines = append(lines, shownLine{text: text, whole: true})
	}
	rows := 0
	for i := len(lines) - 1; i >= 0; i-- {
		more := lines[i].rows(width)
		if height > 1 && rows+more > height-1 {
			lines = lines[i+1:]
			break
		}
		rows += more
	}
	var b strings.Builder
	if v.drawn > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.drawn)
	}
	b.WriteString("\r\x1b[J")
	for _, l := range lines {
		b.WriteString(l.shown(width, v.color) + "\n")
	}
	v.app.out.write(b.String())
	v.drawn = rows
}

// whyLines say what the execution waits for, and what to do about it.
func (v *liveView) whyLines() []shownLine {
	var lines []shownLine
	for _, reason := range v.why.GetReasons() {
		if reason.GetKind() == headracev1.WaitKind_WAIT_KIND_ACTION_RUNNING {
			continue
		}
		lines = append(lines, shownLine{})
		for _, text := range v.app.reasonLines(v.client, v.why, v.execution.GetName(), reason) {
			lines = append(lines, shownLine{text: text, whole: true})
		}
	}
	if more := slices.Concat(v.app.liveLines(v.client, v.why), noteLines(v.why.GetNotes())); len(more) > 0 {
		lines = append(lines, shownLine{})
		for _, text := range more {
			lines = append(lines, shownLine{text: text, whole: true})
		}
	}
	return lines
}

// shownLine is one line about an execution.
type shownLine struct {
	// status of what the line is about; unspecified for other lines.
	status headracev1.ExecutionStatus
	indent int
	text   string
	// whole lines are never cut: a command in them is there to be copied.
	whole bool
}

// rows returns how many rows of a terminal the line takes.
func (l shownLine) rows(width int) int {
	if width < 1 || !l.whole {
		return 1
	}
	return max(1, (len([]rune(l.plain()))+width-1)/width)
}

func (l shownLine) plain() string {
	if l.status == headracev1.ExecutionStatus_EXECUTION_STATUS_UNSPECIFIED {
		return strings.Repeat("  ", l.indent) + l.text
	}
	mark, _ := mark(l.status)
	return strings.Repeat("  ", l.indent) + mark + " " + l.text
}

// shown returns the line with its mark in color, cut to the width where it need
// not be whole.
func (l shownLine) shown(width int, color bool) string {
	runes := []rune(l.plain())
	if !l.whole && width > 1 && len(runes) >= width {
		runes = append(runes[:width-2], '…')
	}
	text := string(runes)
	if !color || l.status == headracev1.ExecutionStatus_EXECUTION_STATUS_UNSPECIFIED {
		return text
	}
	mark, code := mark(l.status)
	return strings.Replace(text, mark, fmt.Sprintf("\x1b[%dm%s\x1b[0m", code, mark), 1)
}

// mark returns the sign of a status and its terminal color.
func mark(s headracev1.ExecutionStatus) (string, int) {
	const red, green, yellow, blue, gray = 31, 32, 33, 34, 90
	switch s {
	case headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS:
		return "●", blue
	case headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED:
		return "✓", green
	case headracev1.ExecutionStatus_EXECUTION_STATUS_OVERRIDDEN:
		return "✓", yellow
	case headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, headracev1.ExecutionStatus_EXECUTION_STATUS_ABANDONED,
		headracev1.ExecutionStatus_EXECUTION_STATUS_ERRORED:
		return "✗", red
	case headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED,
		headracev1.ExecutionStatus_EXECUTION_STATUS_CANCELLED, headracev1.ExecutionStatus_EXECUTION_STATUS_SUPERSEDED:
		return "■", yellow
	default:
		return "○", gray
	}
}

// executionLines returns an execution with its stages, conditions and actions.
func executionLines(e *headracev1.Execution, now time.Time) []shownLine {
	head := fmt.Sprintf("%s  %s  %s", label(e), statusText(e.GetStatus()), elapsed(e.GetStartTime(), e.GetEndTime(), now))
	if e.GetAttempt() > 1 {
		head += fmt.Sprintf("  attempt %d", e.GetAttempt())
	}
	if target := rollbackText(e); target != "" {
		head += "  rollback to " + target
	}
	if revision := oneLine(revisionsText(e)); revision != "" {
		head += "  " + revision
	}
	lines := []shownLine{{status: e.GetStatus(), text: head}}
	for _, stage := range e.GetStages() {
		lines = append(lines, stageLine(e, stage, now))
		for _, approval := range append(slices.Clone(stage.GetEarlierEntryApprovals()), stage.GetEntryApproval()) {
			lines = append(lines, decidedLines(approval, 2, "entry: ")...)
		}
		entry, rest := conditionsOf(stage)
		for _, condition := range entry {
			lines = append(lines, conditionLines(condition, now)...)
		}
		for _, action := range stage.GetActions() {
			lines = append(lines, actionLine(action, now))
			lines = append(lines, elsewhereLines(action.GetExternalExecutionId(), action.GetExternalExecutionUrl(), 3)...)
			lines = append(lines, decidedLines(action.GetApproval(), 3, "")...)
		}
		for _, condition := range rest {
			lines = append(lines, conditionLines(condition, now)...)
		}
	}
	return lines
}

func stageLine(e *headracev1.Execution, stage *headracev1.StageExecution, now time.Time) shownLine {
	text := fmt.Sprintf("%-26s  %-10s  %-6s  %s", stage.GetStage(), statusText(stage.GetStatus()),
		elapsed(stage.GetStartTime(), stage.GetEndTime(), now), retriesText(stage.GetRetry()))
	switch {
	case stage.GetStartTime() != nil:
	case terminal(e.GetStatus()):
		text = fmt.Sprintf("%-26s  not entered", stage.GetStage())
	default:
		text = fmt.Sprintf("%-26s  waits for entry", stage.GetStage())
	}
	return shownLine{status: stage.GetStatus(), indent: 1, text: strings.TrimRight(text, " ")}
}

// retriesText says how often a stage was retried, empty where it was not.
func retriesText(r *headracev1.RetryStageMetadata) string {
	var parts []string
	if n := r.GetAutomaticAttempts(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d by itself", n))
	}
	if n := r.GetManualAttempts(); n > 0 {
		parts = append(parts, fmt.Sprintf("%d by hand", n))
	}
	if len(parts) == 0 {
		return ""
	}
	return "retried " + strings.Join(parts, ", ")
}

func actionLine(action *headracev1.ActionExecution, now time.Time) shownLine {
	name := action.GetAction()
	switch {
	case action.GetRetried() && action.GetAttempt() > 1:
		name += fmt.Sprintf(" (attempt %d, retried)", action.GetAttempt())
	case action.GetRetried():
		name += " (retried)"
	case action.GetAttempt() > 1:
		name += fmt.Sprintf(" (attempt %d)", action.GetAttempt())
	}
	text := fmt.Sprintf("%-24s  %-10s  %-6s  %s", name, statusText(action.GetStatus()),
		elapsed(action.GetStartTime(), action.GetEndTime(), now), saidText(action.GetSummary(), action.GetError()))
	return shownLine{status: action.GetStatus(), indent: 2, text: strings.TrimRight(text, " ")}
}

// elsewhereLines name the work of an action or rule in the service that does it, if that is
// known.
func elsewhereLines(id, url string, indent int) []shownLine {
	name := strings.TrimSpace(oneLine(id) + "  " + oneLine(url))
	if name == "" {
		return nil
	}
	return []shownLine{{indent: indent, text: "runs as " + name}}
}

// saidText returns why something failed, or its summary.
func saidText(summary string, failure *headracev1.ErrorDetails) string {
	if failure != nil {
		summary = failure.GetCode() + ": " + failure.GetMessage()
	}
	return oneLine(summary)
}

// conditionLines returns a check of a condition with its rules.
func conditionLines(condition *headracev1.ConditionExecution, now time.Time) []shownLine {
	said := condition.GetSummary()
	if override := condition.GetOverride(); override != nil {
		said = fmt.Sprintf("by %s: %s", override.GetPrincipal(), override.GetReason())
	}
	text := fmt.Sprintf("%-24s  %-10s  %-6s  %s", kindText(condition.GetKind())+" condition", statusText(condition.GetStatus()),
		elapsed(condition.GetStartTime(), condition.GetEndTime(), now), oneLine(said))
	lines := []shownLine{{status: condition.GetStatus(), indent: 2, text: strings.TrimRight(text, " ")}}
	for _, rule := range condition.GetRules() {
		said := saidText(rule.GetSummary(), rule.GetError())
		if open := rule.GetOpenTime(); open != nil && rule.GetEndTime() == nil {
			said = strings.TrimSpace("opens " + timeText(open) + "  " + said)
		}
		text := fmt.Sprintf("%-22s  %-10s  %-6s  %s", rule.GetRule()+" "+rule.GetProvider(), statusText(rule.GetStatus()),
			elapsed(rule.GetStartTime(), rule.GetEndTime(), now), said)
		lines = append(lines, shownLine{status: rule.GetStatus(), indent: 3, text: strings.TrimRight(text, " ")})
		lines = append(lines, elsewhereLines(rule.GetExternalExecutionId(), rule.GetExternalExecutionUrl(), 4)...)
	}
	return lines
}
