package cli

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
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

func (v *jsonView) state(*headracev1.Execution, []*headracev1.WaitReason) {}

func (v *jsonView) notice(text string) { v.app.err.linef("headrace: %s", text) }

func (v *jsonView) tick() {}

func (v *jsonView) end(e *headracev1.Execution) {
	v.print(v.app.out.object(&headracev1.GetExecutionResponse{Execution: e}))
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
	line := fmt.Sprintf("%s  %-10s  %-24s  %s", clock, state, where, oneLine(text))
	v.app.out.linef("%s", strings.TrimRight(line, " "))
}

func (v *plainView) event(e *headracev1.Event) {
	where := place(e.GetStage(), e.GetAction())
	if e.GetSubject() == headracev1.EventSubject_EVENT_SUBJECT_PIPELINE_EXECUTION {
		where = label(v.execution)
	}
	if e.GetAttempt() > 1 {
		where += fmt.Sprintf(" (attempt %d)", e.GetAttempt())
	}
	text := e.GetMessage()
	if by := e.GetPrincipal(); by != "" {
		text = strings.TrimSpace("by " + by + "  " + text)
	}
	v.line(clockText(e.GetEventTime()), e.GetState(), where, text)
}

func (v *plainView) state(e *headracev1.Execution, reasons []*headracev1.WaitReason) {
	for _, reason := range reasons {
		key := fmt.Sprint(reason.GetKind(), reason.GetStage(), "/", reason.GetAction())
		if reason.GetKind() == headracev1.WaitKind_WAIT_KIND_ACTION_RUNNING || v.told[key] {
			continue
		}
		v.told[key] = true
		since := reason.GetSince()
		if since == nil {
			since = timestamppb.New(v.app.Now())
		}
		v.line(clockText(since), "WAITING", place(reason.GetStage(), reason.GetAction()), reason.GetMessage())
		v.app.out.lines(v.app.reasonLines(v.client, e, reason)[1:])
	}
}

func (v *plainView) notice(text string) { v.app.err.linef("headrace: %s", text) }

func (v *plainView) tick() {}

func (v *plainView) end(e *headracev1.Execution) {
	v.app.out.lines(v.app.endLines(v.client, e))
}

// endLines says how an execution ended and where to look when it did not succeed.
func (a *app) endLines(c *client.Client, e *headracev1.Execution) []string {
	head := fmt.Sprintf("%s  %s in %s", label(e), statusText(e.GetStatus()), elapsed(e.GetStartTime(), e.GetEndTime(), a.Now()))
	if summary := oneLine(e.GetStatusSummary()); summary != "" {
		head += ": " + summary
	}
	lines := []string{head}
	for _, stage := range e.GetStages() {
		for _, action := range stage.GetActions() {
			failure := action.GetError()
			if failure == nil {
				continue
			}
			where := place(stage.GetStage(), action.GetAction())
			indent := "  "
			// The summary tells the first failure already.
			if said := oneLine(failure.GetMessage()); !strings.Contains(head, said) {
				lines = append(lines, fmt.Sprintf("  %s failed with %s: %s", where, failure.GetCode(), said))
				indent += "  "
			}
			if action.GetHasLog() {
				lines = append(lines, indent+"its log: "+a.hint(c, "logs "+label(e)+" "+where))
			}
		}
	}
	return lines
}

// liveView redraws the whole execution in place.
type liveView struct {
	app       *app
	client    *client.Client
	execution *headracev1.Execution
	reasons   []*headracev1.WaitReason
	told      string
	color     bool
	// drawn is how many rows the cursor stands below the first.
	drawn int
}

func (v *liveView) event(*headracev1.Event) {}

func (v *liveView) state(e *headracev1.Execution, reasons []*headracev1.WaitReason) {
	v.execution, v.reasons, v.told = e, reasons, ""
	v.draw(nil)
}

func (v *liveView) notice(text string) {
	v.told = text
	v.draw(nil)
}

func (v *liveView) tick() { v.draw(nil) }

func (v *liveView) end(e *headracev1.Execution) {
	v.execution, v.reasons, v.told = e, nil, ""
	v.draw(v.app.endLines(v.client, e))
	v.drawn = 0
}

// draw replaces what was drawn before. What does not fit the height loses its
// beginning, since the cursor cannot go back beyond the screen.
func (v *liveView) draw(last []string) {
	width, height, _ := v.app.Terminal()
	lines := executionLines(v.execution, v.app.Now())
	for _, reason := range v.reasons {
		if reason.GetKind() == headracev1.WaitKind_WAIT_KIND_ACTION_RUNNING {
			continue
		}
		lines = append(lines, shownLine{})
		for _, text := range v.app.reasonLines(v.client, v.execution, reason) {
			lines = append(lines, shownLine{text: text, whole: true})
		}
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
	case headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, headracev1.ExecutionStatus_EXECUTION_STATUS_ABANDONED:
		return "✗", red
	case headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED,
		headracev1.ExecutionStatus_EXECUTION_STATUS_CANCELLED, headracev1.ExecutionStatus_EXECUTION_STATUS_SUPERSEDED:
		return "■", yellow
	default:
		return "○", gray
	}
}

// executionLines returns an execution with its stages and actions.
func executionLines(e *headracev1.Execution, now time.Time) []shownLine {
	head := fmt.Sprintf("%s  %s  %s", label(e), statusText(e.GetStatus()), elapsed(e.GetStartTime(), e.GetEndTime(), now))
	if revision := oneLine(revisionsText(e)); revision != "" {
		head += "  " + revision
	}
	lines := []shownLine{{status: e.GetStatus(), text: head}}
	for _, stage := range e.GetStages() {
		text := fmt.Sprintf("%-26s  %-10s  %s", stage.GetStage(), statusText(stage.GetStatus()),
			elapsed(stage.GetStartTime(), stage.GetEndTime(), now))
		if stage.GetStartTime() == nil {
			text = fmt.Sprintf("%-26s  waits for entry", stage.GetStage())
			if terminal(e.GetStatus()) {
				text = fmt.Sprintf("%-26s  not entered", stage.GetStage())
			}
		}
		lines = append(lines, shownLine{status: stage.GetStatus(), indent: 1, text: strings.TrimRight(text, " ")})
		for _, action := range stage.GetActions() {
			lines = append(lines, actionLine(action, now))
		}
	}
	return lines
}

func actionLine(action *headracev1.ActionExecution, now time.Time) shownLine {
	said := action.GetSummary()
	if failure := action.GetError(); failure != nil {
		said = failure.GetCode() + ": " + failure.GetMessage()
	}
	name := action.GetAction()
	if action.GetAttempt() > 1 {
		name += fmt.Sprintf(" (attempt %d)", action.GetAttempt())
	}
	text := fmt.Sprintf("%-24s  %-10s  %-6s  %s", name, statusText(action.GetStatus()),
		elapsed(action.GetStartTime(), action.GetEndTime(), now), oneLine(said))
	return shownLine{status: action.GetStatus(), indent: 2, text: strings.TrimRight(text, " ")}
}
