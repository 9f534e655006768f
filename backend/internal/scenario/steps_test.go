package scenario_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

var steps = []step{
	{pipelinePattern, (*world).createPipeline},
	{regexp.MustCompile(`^(\w+) publishes version (\d+)(?: of (\S+))?: ([A-Z]+)(?:, on_update (\w+))?$`), (*world).publish},
	{regexp.MustCompile(`^group (\w+): (.+)$`), (*world).group},
	{regexp.MustCompile(`^approval rule (\S+)(?: of (\S+))? guards (\S+): (.+)$`), (*world).approvalRule},
	{regexp.MustCompile(`^the account (requires|no longer requires) approval rules$`), (*world).requireRules},
	{regexp.MustCompile(`^(\w+) starts ([\w/]+)(?: to (\d+))?(?: with (.+?))?(?:, request id (\S+))?((?:, \S+ at \S+ \S+)*)$`), (*world).start},
	{regexp.MustCompile(`^(\S+) of ([\w/]+(?:, [\w/]+)*) (succeeds|fails)(?: with (.+))?$`), (*world).end},
	{regexp.MustCompile(`^(\S+) of ([\w/]+) (succeeds) too late$`), (*world).endTooLate},
	{regexp.MustCompile(`^(\w+) (approves|rejects) (?:(?:the entry of )?([A-Z]\S*) of )?([\w/]+)(?: "(.*)")?$`), (*world).decide},
	{regexp.MustCompile(`^(\w+) (stops|abandons) ([\w/]+)(?: "(.*)")?$`), (*world).stopExecution},
	{regexp.MustCompile(`^(\w+) retries (?:(\S+) of )?([\w/]+)(?:, (ALL_ACTIONS|FAILED_ACTIONS))?$`), (*world).retry},
	{regexp.MustCompile(`^(\w+) rolls (\S+) back to ([\w/]+)(?: as (\d+))?(?:, request id (\S+))?$`), (*world).rollback},
	{regexp.MustCompile(`^(\w+) overrides (before_entry|on_success|on_failure) of (\S+) of ([\w/]+) "(.*)"$`), (*world).override},
	{regexp.MustCompile(`^(\w+) (disables|enables) the transition into (\S+)(?: "(.*)")?$`), (*world).transition},
	{regexp.MustCompile(`^the clock moves (on by|to) (.+)$`), (*world).moveClock},
	{regexp.MustCompile(`^the service is (down|up)$`), (*world).setService},
	{regexp.MustCompile(`^the job of (\S+) of ([\w/]+) (succeeds|fails)(?: with "(.*)")?$`), (*world).endJob},
	{regexp.MustCompile(`^during the next turn of (\S+) of ([\w/]+) (\w+) abandons it$`), (*world).abandonDuringTurn},
	{regexp.MustCompile(`^the jobs of the service$`), (*world).lookJobs},
	{regexp.MustCompile(`^the server restarts$`), func(w *world, _ []string, _ *statement) (*look, error) { w.restart(); return nil, nil }},
	{regexp.MustCompile(`^the runner (leaves|returns)$`), func(w *world, match []string, _ *statement) (*look, error) {
		w.away = match[1] == "leaves"
		return nil, nil
	}},
	{regexp.MustCompile(`^then$`), func(*world, []string, *statement) (*look, error) { return nil, nil }},
	{regexp.MustCompile(`^explain ([\w/]+)$`), (*world).lookExplanation},
	{regexp.MustCompile(`^events of ([\w/]+)$`), (*world).lookEvents},
	{regexp.MustCompile(`^show ([\w/]+)$`), (*world).lookRecord},
	{regexp.MustCompile(`^state(?: of (\S+))?$`), (*world).lookState},
	{regexp.MustCompile(`^the runner has (\S+) of ([\w/]+)$`), (*world).lookAttempt},
	{regexp.MustCompile(`^the runner must end (\S+) of ([\w/]+)$`), (*world).lookRevoked},
	{regexp.MustCompile(`^a watcher of ([\w/]+) reads (\d+) events$`), (*world).watch},
	{regexp.MustCompile(`^the watcher of ([\w/]+) (resumes)$`), (*world).watch},
}

// takeDefinition takes the lines of a definition off a statement.
func takeDefinition(mode, onUpdate string, st *statement) (*pipeline.Definition, error) {
	lines := slices.DeleteFunc(slices.Clone(st.lines), func(line string) bool { return strings.HasPrefix(line, "refused ") })
	st.lines = nil
	return define(mode, onUpdate, lines)
}

func (w *world) createPipeline(match []string, st *statement) (*look, error) {
	name := match[1]
	if name == "" {
		name = "web"
	}
	def, err := takeDefinition(match[2], match[3], st)
	if err != nil {
		return nil, err
	}
	w.pipelines = append(w.pipelines, name)
	_, err = w.defs.Create(w.t.Context(), w.identity("admin"), service.PipelineInput{Account: account, Name: name, Definition: *def})
	return nil, err
}

func (w *world) publish(match []string, st *statement) (*look, error) {
	name := match[3]
	if name == "" {
		name = w.pipelines[0]
	}
	def, err := takeDefinition(match[4], match[5], st)
	if err != nil {
		return nil, err
	}
	view, err := w.defs.Update(w.t.Context(), w.identity(match[1]), service.PipelineInput{Account: account, Name: name, Definition: *def})
	if err != nil {
		return nil, err
	}
	if got := strconv.FormatInt(view.Version, 10); got != match[2] {
		return nil, fmt.Errorf("version %s was published", got)
	}
	return nil, nil
}

func (w *world) group(match []string, _ *statement) (*look, error) {
	w.groups[match[1]] = strings.Fields(match[2])
	return nil, nil
}

func (w *world) approvalRule(match []string, _ *statement) (*look, error) {
	pipelines := match[2]
	if pipelines == "" {
		pipelines = "*"
	}
	rule, err := approvalRule(match[1], pipelines, match[3], match[4], func(name string) bool { return w.groups[name] != nil })
	if err != nil {
		return nil, err
	}
	w.tokens(rule.Users...)
	for _, group := range rule.Groups {
		w.tokens(w.groups[group]...)
	}
	admin := w.identity("admin")
	if _, err := w.rules.Get(w.t.Context(), admin, account, rule.Name); err == nil {
		_, err := w.rules.Update(w.t.Context(), admin, rule, "", false, nil)
		return nil, err
	}
	_, err = w.rules.Create(w.t.Context(), admin, rule, "", false)
	return nil, err
}

func (w *world) requireRules(match []string, _ *statement) (*look, error) {
	required := match[1] == "requires"
	_, err := w.accounts.UpdateAccount(w.t.Context(), w.identity("admin"), account, service.AccountChange{RequireApprovalRule: &required})
	return nil, err
}

func (w *world) start(match []string, _ *statement) (*look, error) {
	in := service.StartInput{RequestID: match[5]}
	for _, word := range words(match[4]) {
		name, value, _ := strings.Cut(word, "=")
		if in.Variables == nil {
			in.Variables = make(map[string]string)
		}
		in.Variables[name] = value
	}
	for clause := range strings.SplitSeq(match[6], ", ") {
		if fields := strings.Fields(clause); len(fields) == 4 {
			in.Overrides = append(in.Overrides, pipeline.Override{Action: fields[0], Type: fields[2], Value: fields[3]})
		}
	}
	name, first := w.reference(match[2])
	last := first
	if match[3] != "" {
		_, last = w.reference(match[3])
	}
	for number := first; number <= last; number++ {
		e, err := w.executions.Start(w.t.Context(), w.identity(match[1]), account, name, in)
		if err != nil {
			return nil, err
		}
		if e.Number != number {
			return nil, fmt.Errorf("execution %d was started", e.Number)
		}
	}
	return nil, nil
}

func (w *world) end(match []string, _ *statement) (*look, error) {
	for ref := range strings.SplitSeq(match[2], ", ") {
		e, err := w.find(ref)
		if err != nil {
			return nil, err
		}
		running := w.running(e, match[1])
		if len(running) == 0 {
			return nil, fmt.Errorf("the runner has no attempt of %s of %s", match[1], ref)
		}
		for _, a := range running {
			if err := w.report(a, result(e, a, match[3] == "succeeds", words(match[4]))); err != nil {
				return nil, err
			}
		}
	}
	return nil, nil
}

// result is what a runner reports. Unless it is told, a source action fetches the
// revision "rev-1" of execution 1, and an artifact is "name of 1".
func result(e *execution.Execution, a *attempt, succeeded bool, told []string) action.Result {
	if !succeeded {
		code, message := action.JobFailed, "exit code 1"
		switch len(told) {
		case 1:
			message = told[0]
		case 2:
			code, message = action.FailureCode(told[0]), told[1]
		}
		return action.Failed(code, "%s", message)
	}
	result := action.Result{Summary: "done", Variables: make(map[string]string)}
	digests := make(map[string]string)
	revision := fmt.Sprintf("rev-%d", e.Number)
	for _, word := range told {
		if name, value, found := strings.Cut(word, "="); found {
			result.Variables[name] = long(value)
			continue
		}
		name, value, _ := strings.Cut(word, ":")
		switch name {
		case "revision":
			revision = value
			continue
		case "external":
			result.ExternalID = value
			continue
		}
		digests[name] = value
	}
	for _, artifact := range a.Attempt.Action.OutputArtifacts {
		digest := digests[artifact.Name]
		if digest == "" {
			digest = fmt.Sprintf("%s of %d", artifact.Name, e.Number)
		}
		result.Artifacts = append(result.Artifacts, action.Artifact{Name: artifact.Name, Digest: digest, Size: 1})
	}
	if a.Attempt.Action.Category == pipeline.CategorySource {
		result.Revision = &action.Revision{ID: revision}
		result.Variables["CommitId"] = revision
	}
	return result
}

// long makes a value of so many bytes of "<bytes>".
func long(value string) string {
	size, err := strconv.Atoi(strings.Trim(value, "<>"))
	if err != nil || !strings.HasPrefix(value, "<") {
		return value
	}
	return strings.Repeat("x", size)
}

func (w *world) endTooLate(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[2])
	if err != nil {
		return nil, err
	}
	stage, name, _ := strings.Cut(match[1], "/")
	for _, a := range w.attempts {
		if a.Attempt.ExecutionID == e.ID && a.Attempt.Stage == stage && a.Attempt.Action.Name == name && (a.over || revoked(a)) {
			return nil, w.report(a, result(e, a, true, nil))
		}
	}
	return nil, fmt.Errorf("the runner has no dead attempt of %s", match[1])
}

func (w *world) decide(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[4])
	if err != nil {
		return nil, err
	}
	stage, name, _ := strings.Cut(match[3], "/")
	_, err = w.executions.Decide(w.t.Context(), w.identity(match[1]), account, e.ID, service.Decision{
		Stage: stage, Action: name, Approve: match[2] == "approves", Comment: match[5],
	})
	return nil, err
}

func (w *world) stopExecution(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[3])
	if err != nil {
		return nil, err
	}
	_, err = w.executions.Stop(w.t.Context(), w.identity(match[1]), account, e.ID, match[2] == "abandons", match[4])
	return nil, err
}

func (w *world) retry(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[3])
	if err != nil {
		return nil, err
	}
	again, err := w.executions.Retry(w.t.Context(), w.identity(match[1]), account, e.ID, service.RetryInput{
		Stage: match[2], Mode: pipeline.RetryMode(match[4]),
	})
	if err == nil && again.ID != e.ID {
		err = fmt.Errorf("the retry is of another execution")
	}
	return nil, err
}

func (w *world) rollback(match []string, _ *statement) (*look, error) {
	target, err := w.find(match[3])
	if err != nil {
		return nil, err
	}
	e, err := w.executions.Rollback(w.t.Context(), w.identity(match[1]), account, w.pipelines[0], service.RollbackInput{
		Stage: match[2], TargetID: target.ID, RequestID: match[5],
	})
	if err != nil {
		return nil, err
	}
	if match[4] != "" && strconv.FormatInt(e.Number, 10) != match[4] {
		return nil, fmt.Errorf("execution %d was started", e.Number)
	}
	return nil, nil
}

func (w *world) override(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[4])
	if err != nil {
		return nil, err
	}
	_, err = w.executions.Override(w.t.Context(), w.identity(match[1]), account, e.ID, service.OverrideInput{
		Stage: match[3], Condition: pipeline.ConditionKind(strings.ToUpper(match[2])), Reason: match[5],
	})
	return nil, err
}

func (w *world) transition(match []string, _ *statement) (*look, error) {
	_, err := w.stages.SetTransition(w.t.Context(), w.identity(match[1]), account, w.pipelines[0], service.TransitionInput{
		Stage: match[3], Enabled: match[2] == "enables", Reason: long(match[4]),
	})
	return nil, err
}

func (w *world) moveClock(match []string, _ *statement) (*look, error) {
	to := w.now()
	if match[1] == "on by" {
		by, err := duration(match[2])
		if err != nil {
			return nil, err
		}
		to = to.Add(by)
	} else {
		at, err := when(match[2])
		if err != nil {
			return nil, err
		}
		to = at
	}
	w.clock.Store(to.UnixNano())
	return nil, nil
}

func (w *world) lookExplanation(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[1])
	if err != nil {
		return nil, err
	}
	explanation, err := w.explanations.Explain(w.t.Context(), w.identity("watcher"), account, e.ID)
	if err != nil {
		return nil, err
	}
	by := func(pattern, line string) bool {
		kind, words, _ := strings.Cut(pattern, ": ")
		lineKind, message, _ := strings.Cut(line, ": ")
		return kind == lineKind && holds(message, words)
	}
	return &look{lines: w.explain(explanation), match: matchAll(by)}, nil
}

func eventLines(events []execution.Event) []string {
	var lines []string
	for _, ev := range events {
		line := showEvent(ev)
		if ev.Message != "" {
			line += ": " + ev.Message
		}
		lines = append(lines, line)
	}
	return lines
}

func (w *world) lookEvents(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[1])
	if err != nil {
		return nil, err
	}
	events := w.eventsOf(e.ID)
	for i, ev := range events {
		if ev.ExecutionAttempt < 1 || ev.At.IsZero() {
			return nil, fmt.Errorf("event %s has no execution attempt or no time", showEvent(ev))
		}
		if i > 0 && (ev.Position <= events[i-1].Position || ev.At.Before(events[i-1].At)) {
			return nil, fmt.Errorf("event %s is not after the one before", showEvent(ev))
		}
	}
	return &look{lines: eventLines(events), match: matchAll(matchEvent)}, nil
}

func (w *world) lookRecord(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[1])
	if err != nil {
		return nil, err
	}
	return &look{lines: w.describe(e), match: matchSome}, nil
}

func (w *world) lookState(match []string, _ *statement) (*look, error) {
	name := match[1]
	if name == "" {
		name = w.pipelines[0]
	}
	view, err := w.stages.State(w.t.Context(), w.identity("watcher"), account, name)
	if err != nil {
		return nil, err
	}
	return &look{lines: w.describeState(view), match: matchSome}, nil
}

func (w *world) lookAttempt(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[2])
	if err != nil {
		return nil, err
	}
	running := w.running(e, match[1])
	if len(running) != 1 {
		return nil, fmt.Errorf("the runner has %d attempts of it", len(running))
	}
	return &look{lines: describeAttempt(&running[0].Attempt), match: matchSome}, nil
}

func (w *world) lookRevoked(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[2])
	if err != nil {
		return nil, err
	}
	stage, name, _ := strings.Cut(match[1], "/")
	for _, a := range w.attempts {
		if a.Attempt.ExecutionID == e.ID && a.Attempt.Stage == stage && a.Attempt.Action.Name == name && !a.over && revoked(a) {
			return nil, nil
		}
	}
	return nil, fmt.Errorf("the runner was not told so")
}

// watch reads a number of events, or all that are left until the execution ends.
func (w *world) watch(match []string, _ *statement) (*look, error) {
	e, err := w.find(match[1])
	if err != nil {
		return nil, err
	}
	most := 0
	if match[2] != "resumes" {
		if most, err = strconv.Atoi(match[2]); err != nil {
			return nil, err
		}
	}
	var events []execution.Event
	err = w.streams.Watch(w.t.Context(), w.identity("watcher"), account, e.ID, w.watched[e.ID], func(ev execution.Event) error {
		events = append(events, ev)
		w.watched[e.ID] = ev.Position
		if len(events) == most {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return nil, err
	}
	return &look{lines: eventLines(events), match: matchAll(matchEvent)}, nil
}
