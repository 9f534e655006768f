package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// option is an execution, or a part of it, that a command could mean.
type option struct {
	execution *headracev1.Execution
	// place is the stage, or Stage/Action, and since when the execution is there.
	place string
	since *timestamppb.Timestamp
	// command is the command line that means this one.
	command string
}

// ambiguous refuses to choose one of several options: a person looked at one of them.
func (a *app) ambiguous(what string, options []option) error {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, o := range options {
		cells := []string{label(o.execution), o.place, "for " + elapsed(o.since, nil, a.Now()), revisionsText(o.execution), byText(o.execution), o.command}
		for i := range cells {
			cells[i] = oneLine(cells[i])
		}
		// Writes to a buffer do not fail.
		_, _ = fmt.Fprintln(w, "  "+strings.Join(cells, "\t"))
	}
	_ = w.Flush()
	return usagef("%s; name one:\n%s", what, strings.TrimRight(text.String(), "\n"))
}

// withStatus returns the newest executions of a pipeline that have one of the statuses,
// oldest first, without stages.
func withStatus(
	ctx context.Context, c *client.Client, name string, statuses ...headracev1.ExecutionStatus,
) ([]*headracev1.Execution, error) {
	response, err := c.Executions.ListExecutions(ctx, &headracev1.ListExecutionsRequest{
		Parent: pipelineName(c, name), PageSize: pageSize, Statuses: statuses,
	})
	found := response.GetExecutions()
	slices.Reverse(found)
	return found, err
}

// openWait is an approval that an execution waits for.
type openWait struct {
	execution *headracev1.Execution
	reason    *headracev1.WaitReason
	// why is what the server said about the execution.
	why *explained
	// closed is set if a user named it by an id that is not open any more.
	closed bool
}

// wanted is the approval that a user names: by stage and action, by its id, or not at all.
type wanted struct {
	stage, action, approval string
}

// means tells whether the words name a wait. A stage alone names its entry, as for the
// server.
func (w wanted) means(reason *headracev1.WaitReason) bool {
	switch {
	case w.approval != "" && w.approval != reason.GetApproval().GetId(), w.stage != "" && w.stage != reason.GetStage():
		return false
	case w.action != "":
		return w.action == reason.GetAction()
	}
	return w.stage == "" || reason.GetAction() == "" || w.approval != ""
}

// String names what is wanted.
func (w wanted) String() string {
	switch {
	case w.stage == "" && w.action == "":
		return "approval " + w.approval
	case w.action == "":
		return "the entry of stage " + w.stage
	case w.stage == "":
		return "action " + w.action
	}
	return place(w.stage, w.action)
}

// openWait returns the open approval that the words of a user mean. If there are several
// it lists them, since the user has looked at one of them.
func (a *app) openWait(ctx context.Context, c *client.Client, verb, word string, want wanted) (openWait, error) {
	named, err := a.named(ctx, c, word)
	if err != nil {
		return openWait{}, err
	}
	executions := []*headracev1.Execution{named}
	if named == nil {
		if executions, err = withStatus(ctx, c, word, headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS); err != nil {
			return openWait{}, err
		}
	}
	var found, others []openWait
	var idle []*explained
	for _, e := range executions {
		why, err := explain(ctx, c, e)
		if err != nil {
			return openWait{}, err
		}
		open := 0
		for _, reason := range why.GetReasons() {
			if reason.GetKind() != headracev1.WaitKind_WAIT_KIND_APPROVAL {
				continue
			}
			open++
			if want.means(reason) {
				found = append(found, openWait{execution: e, reason: reason, why: why})
			} else {
				others = append(others, openWait{execution: e, reason: reason, why: why})
			}
		}
		if open == 0 {
			idle = append(idle, why)
		}
	}
	switch {
	case len(found) == 1:
		// What it fetched and who wrote that is told by the execution itself.
		found[0].execution, err = get(ctx, c, found[0].execution.GetName())
		return found[0], err
	case len(found) > 1:
		return openWait{}, a.ambiguous(fmt.Sprintf("%d approvals are open", len(found)), a.waitOptions(c, verb, found))
	case named != nil && want.approval != "":
		// The server knows what became of it.
		return openWait{execution: named, closed: true, reason: &headracev1.WaitReason{
			Stage: want.stage, Action: want.action, Approval: &headracev1.Approval{Id: want.approval},
		}}, nil
	case lastDecision(named, want) != "":
		// A list of what else waits would invite a decision on something else.
		return openWait{}, fmt.Errorf("no approval is open for %s: %s; see what waits now with: %s",
			want, lastDecision(named, want), a.hint(c, "explain "+label(named)))
	case len(others) > 0:
		return openWait{}, a.ambiguous("no approval is open for "+want.String(), a.waitOptions(c, verb, others))
	case len(idle) > 0:
		return openWait{}, errors.New(strings.Join(notWaiting(idle), "\n"))
	}
	last, err := latest(ctx, c, word)
	if err != nil {
		return openWait{}, err
	}
	return openWait{}, fmt.Errorf("no execution of %s is in progress; the newest, %s, is %s", word, label(last), statusText(last.GetStatus()))
}

// lastDecision returns the last decision on what a user names by its stage, and nothing if
// nobody has decided or no execution is named.
func lastDecision(e *headracev1.Execution, want wanted) string {
	var decisions []*headracev1.ApprovalDecision
	for _, stage := range e.GetStages() {
		if stage.GetStage() != want.stage {
			continue
		}
		if want.action == "" {
			decisions = append(decisions, stage.GetEntryApproval().GetDecisions()...)
		}
		for _, action := range stage.GetActions() {
			if action.GetAction() == want.action {
				decisions = append(decisions, action.GetApproval().GetDecisions()...)
			}
		}
	}
	if len(decisions) == 0 {
		return ""
	}
	return decisionText(decisions[len(decisions)-1])
}

func (a *app) waitOptions(c *client.Client, verb string, waits []openWait) []option {
	options := make([]option, 0, len(waits))
	for _, w := range waits {
		options = append(options, option{
			execution: w.execution, place: place(w.reason.GetStage(), w.reason.GetAction()), since: w.reason.GetSince(),
			command: a.hint(c, verb+" "+label(w.execution)+waitFlags(w.reason.GetStage(), w.reason.GetAction(), w.reason.GetApproval().GetId())),
		})
	}
	return options
}

// notWaiting says what executions wait for that wait for no approval.
func notWaiting(idle []*explained) []string {
	var lines []string
	for i, why := range idle {
		if i == maxOptions {
			return append(lines, fmt.Sprintf("and %d more", len(idle)-i))
		}
		line := label(why.execution) + " is not waiting for an approval: "
		switch reasons := why.GetReasons(); {
		case len(reasons) == 0:
			line += "it is " + statusText(why.GetStatus())
		case reasons[0].GetBlockingExecution() != "":
			line += fmt.Sprintf("it waits until %s leaves stage %s", why.named.short(reasons[0].GetBlockingExecution()), reasons[0].GetStage())
		default:
			message := oneLine(reasons[0].GetMessage())
			if strings.HasPrefix(message, "waits ") {
				message = "it " + message
			}
			line += message
		}
		lines = append(lines, line)
	}
	return lines
}

// toStop returns the execution that a word means to a stop: of a pipeline the only one
// in progress. One that is being stopped is meant only if its actions are to end now.
func (a *app) toStop(ctx context.Context, c *client.Client, word string, abandon bool) (*headracev1.Execution, error) {
	named, err := a.named(ctx, c, word)
	if err != nil || named != nil {
		return named, err
	}
	all, err := withStatus(ctx, c, word,
		headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING)
	if err != nil {
		return nil, err
	}
	eligible := slices.DeleteFunc(slices.Clone(all), func(e *headracev1.Execution) bool {
		return !abandon && e.GetStatus() == headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPING
	})
	flag := ""
	if abandon {
		flag = " --abandon"
	}
	switch {
	case len(eligible) == 1:
		return eligible[0], nil
	case len(eligible) > 1:
		options, err := executionOptions(ctx, c, eligible, func(e *headracev1.Execution) string {
			return a.hint(c, "execution stop "+label(e)+flag)
		})
		if err != nil {
			return nil, err
		}
		return nil, a.ambiguous(fmt.Sprintf("%d executions of %s are in progress", len(eligible), word), options)
	case len(all) > 0:
		return nil, fmt.Errorf("%s is already being stopped; end its running actions now with: %s",
			label(all[0]), a.hint(c, "execution stop "+label(all[0])+" --abandon"))
	}
	last, err := latest(ctx, c, word)
	if err != nil {
		return nil, err
	}
	return nil, fmt.Errorf("no execution of %s is in progress; the newest, %s, is %s", word, label(last), statusText(last.GetStatus()))
}

// executionOptions are options that say in which stage each execution is or ended.
func executionOptions(
	ctx context.Context, c *client.Client, executions []*headracev1.Execution, command func(*headracev1.Execution) string,
) ([]option, error) {
	options := make([]option, 0, len(executions))
	for _, head := range executions {
		e, err := get(ctx, c, head.GetName())
		if err != nil {
			return nil, err
		}
		options = append(options, option{
			execution: e, place: lastStage(e).GetStage(), since: e.GetStartTime(), command: command(e),
		})
	}
	return options, nil
}

// maxOptions bounds how many executions are listed that a command could mean.
const maxOptions = 20

// offered returns the execution that a word names. Of a pipeline it is the only one to
// which the server offers a step. What the step does to it is told as in "can be retried".
func (a *app) offered(
	ctx context.Context, c *client.Client, word, what string, want *headracev1.NextStep,
) (*headracev1.Execution, error) {
	named, err := a.named(ctx, c, word)
	if err != nil || named != nil {
		return named, err
	}
	all, err := candidates(ctx, c, word)
	if err != nil {
		return nil, err
	}
	var eligible []*headracev1.Execution
	commands := map[string]string{}
	for _, e := range all {
		why, err := explain(ctx, c, e)
		if err != nil {
			return nil, err
		}
		step := why.step(func(s *headracev1.NextStep) bool {
			return s.GetExecution() == e.GetName() && s.GetKind() == want.GetKind() && s.GetCondition() == want.GetCondition() &&
				(want.GetStage() == "" || s.GetStage() == want.GetStage()) &&
				(want.GetRetryMode() == headracev1.RetryMode_RETRY_MODE_UNSPECIFIED || s.GetRetryMode() == want.GetRetryMode())
		})
		if step != nil {
			eligible = append(eligible, e)
			commands[e.GetName()] = why.command(a, c, step)
		}
		if len(eligible) == maxOptions {
			break
		}
	}
	switch len(eligible) {
	case 0:
		return nil, a.notOffered(ctx, c, word, what, want)
	case 1:
		return eligible[0], nil
	}
	options, err := executionOptions(ctx, c, eligible, func(e *headracev1.Execution) string { return commands[e.GetName()] })
	if err != nil {
		return nil, err
	}
	return nil, a.ambiguous(fmt.Sprintf("several executions of %s can be %s", word, what), options)
}

// notOffered says why no execution of a pipeline can be brought back, by the newest that
// failed or was stopped, or else the newest.
func (a *app) notOffered(ctx context.Context, c *client.Client, word, what string, want *headracev1.NextStep) error {
	last, err := latest(ctx, c, word)
	if err != nil {
		return err
	}
	ended, err := withStatus(ctx, c, word, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED)
	if err != nil {
		return err
	}
	if len(ended) > 0 {
		last = ended[len(ended)-1]
	}
	why, err := explain(ctx, c, last)
	if err != nil {
		return err
	}
	if len(why.GetNextSteps())+len(why.GetRefusals()) == 0 {
		return fmt.Errorf("this server does not say which execution of %s can be %s; name one, for example %s", word, what, label(last))
	}
	var lines []string
	if want.GetKind() == headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE {
		lines = a.refusedRetry(c, why)
	} else if refusal := why.refusal(want); refusal != "" {
		lines = []string{refusal}
	}
	if len(lines) == 0 {
		lines = []string{"it is " + statusText(last.GetStatus())}
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return fmt.Errorf("no execution of %s can be %s; %s: %s", word, what, label(last), strings.Join(lines, "; "))
}

// candidates are the executions of a pipeline that may be brought back: those that were
// in a stage last. PARALLEL executions share no stages, so there it is every one that
// failed or was stopped.
func candidates(ctx context.Context, c *client.Client, word string) ([]*headracev1.Execution, error) {
	response, err := c.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{Name: pipelineName(c, word)})
	if err != nil {
		return nil, err
	}
	state := response.GetState()
	if state.GetExecutionMode() == headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL {
		return withStatus(ctx, c, word, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED,
			headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED, headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS)
	}
	var found []*headracev1.Execution
	seen := map[string]bool{"": true}
	for _, stage := range state.GetStages() {
		if seen[stage.GetLatestExecution()] {
			continue
		}
		seen[stage.GetLatestExecution()] = true
		e, err := get(ctx, c, stage.GetLatestExecution())
		if client.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}
