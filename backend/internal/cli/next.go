package cli

import (
	"context"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// explained is where an execution is, why, and what the server says can be done about it.
type explained struct {
	*headracev1.ExplainExecutionResponse
	execution *headracev1.Execution
	// named are the executions that the answer names.
	named labels
}

func explain(ctx context.Context, c *client.Client, e *headracev1.Execution) (*explained, error) {
	return explainWith(ctx, c, &headracev1.ExplainExecutionRequest{Name: e.GetName()}, e)
}

// explainChanges is explain that also compares the sources with the last release.
func explainChanges(ctx context.Context, c *client.Client, e *headracev1.Execution) (*explained, error) {
	return explainWith(ctx, c, &headracev1.ExplainExecutionRequest{Name: e.GetName(), Changes: true}, e)
}

func explainWith(ctx context.Context, c *client.Client, request *headracev1.ExplainExecutionRequest, e *headracev1.Execution) (*explained, error) {
	response, err := c.Executions.ExplainExecution(ctx, request)
	if err != nil {
		return nil, err
	}
	x := &explained{ExplainExecutionResponse: response, execution: e, named: labels{e.GetName(): e}}
	for _, step := range response.GetNextSteps() {
		if err := x.named.load(ctx, c, step.GetExecution()); err != nil {
			return nil, err
		}
	}
	return x, x.loadBlocking(ctx, c, response.GetReasons())
}

func (x *explained) loadBlocking(ctx context.Context, c *client.Client, reasons []*headracev1.WaitReason) error {
	for _, reason := range reasons {
		if err := x.named.load(ctx, c, reason.GetBlockingExecution()); err != nil {
			return err
		}
		if err := x.loadBlocking(ctx, c, reason.GetCauses()); err != nil {
			return err
		}
	}
	return nil
}

// step returns the first step that fits, nil if none is offered.
func (x *explained) step(fits func(*headracev1.NextStep) bool) *headracev1.NextStep {
	if i := slices.IndexFunc(x.GetNextSteps(), fits); i >= 0 {
		return x.GetNextSteps()[i]
	}
	return nil
}

// own returns the first step of a kind that is about the execution itself.
func (x *explained) own(kind headracev1.NextStepKind) *headracev1.NextStep {
	return x.step(func(s *headracev1.NextStep) bool {
		return s.GetKind() == kind && (s.GetExecution() == "" || s.GetExecution() == x.execution.GetName())
	})
}

// command returns the command line of a step.
func (x *explained) command(a *app, c *client.Client, s *headracev1.NextStep) string {
	word, pipelineWord := x.named.short(s.GetExecution()), client.Segment(x.execution.GetName(), "pipelines")
	var command string
	switch s.GetKind() {
	case headracev1.NextStepKind_NEXT_STEP_KIND_DECIDE_APPROVAL:
		command = "approve " + word + waitFlags(s.GetStage(), s.GetAction(), s.GetApprovalId())
		if s.GetRequiresComment() {
			command += ` --comment "..."`
		}
	case headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE:
		command = "execution retry " + word
		if s.GetRetryMode() == headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS {
			command += " --all-actions"
		}
	case headracev1.NextStepKind_NEXT_STEP_KIND_OVERRIDE_CONDITION:
		command = "execution override " + word + " --stage " + s.GetStage() + " --condition " + kindText(s.GetCondition()) + ` --reason "..."`
	case headracev1.NextStepKind_NEXT_STEP_KIND_ENABLE_TRANSITION:
		command = "transition enable " + pipelineWord + " " + s.GetStage()
	case headracev1.NextStepKind_NEXT_STEP_KIND_STOP_EXECUTION:
		command = "execution stop " + word
	case headracev1.NextStepKind_NEXT_STEP_KIND_ABANDON_EXECUTION:
		command = "execution stop " + word + " --abandon"
	case headracev1.NextStepKind_NEXT_STEP_KIND_START_EXECUTION:
		command = "run " + pipelineWord
		for _, pair := range pairs(s.GetVariables()) {
			command += " --var " + quoted(pair)
		}
	default:
		return ""
	}
	return a.hint(c, command)
}

// waitFlags name an approval to a command: the place for people, the id so that the
// command cannot decide on another approval of that place later.
func waitFlags(stage, action, approval string) string {
	flags := " --stage " + stage
	if action != "" {
		flags += " --action " + action
	}
	if approval != "" {
		flags += " --approval " + quoted(approval)
	}
	return flags
}

// quoted returns a word as a shell reads it.
func quoted(word string) string {
	if strings.Trim(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=.,:/@%+") == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// reasonStep returns the step that ends a wait of an execution, and what it does.
func (x *explained) reasonStep(of string, reason *headracev1.WaitReason) (text string, step *headracev1.NextStep) {
	var kind headracev1.NextStepKind
	switch reason.GetKind() {
	case headracev1.WaitKind_WAIT_KIND_APPROVAL:
		text, kind = "approve with: ", headracev1.NextStepKind_NEXT_STEP_KIND_DECIDE_APPROVAL
	case headracev1.WaitKind_WAIT_KIND_TRANSITION:
		text, kind = "enable it with: ", headracev1.NextStepKind_NEXT_STEP_KIND_ENABLE_TRANSITION
	case headracev1.WaitKind_WAIT_KIND_WINDOW:
		text, kind = "continue without it: ", headracev1.NextStepKind_NEXT_STEP_KIND_OVERRIDE_CONDITION
	case headracev1.WaitKind_WAIT_KIND_STOPPING, headracev1.WaitKind_WAIT_KIND_CANCELLING:
		text, kind = "end them now: ", headracev1.NextStepKind_NEXT_STEP_KIND_ABANDON_EXECUTION
	default:
		return "", nil
	}
	return text, x.step(func(s *headracev1.NextStep) bool {
		return s.GetKind() == kind && s.GetExecution() == of &&
			(s.GetStage() == "" || s.GetStage() == reason.GetStage()) && s.GetAction() == reason.GetAction() &&
			(s.GetCondition() == headracev1.ConditionKind_CONDITION_KIND_UNSPECIFIED || s.GetCondition() == reason.GetCondition())
	})
}

// mayNotDecide returns why the caller may not decide on an approval, empty if the caller
// may or the server does not say.
func (x *explained) mayNotDecide(approval string) string {
	for _, r := range x.GetRefusals() {
		if approval != "" && r.GetApprovalId() == approval {
			return r.GetMessage()
		}
	}
	return ""
}

// needsComment tells whether a decision of the caller on an approval needs a comment.
func (x *explained) needsComment(approval string) bool {
	step := x.step(func(s *headracev1.NextStep) bool { return approval != "" && s.GetApprovalId() == approval })
	return step.GetRequiresComment()
}

// liveLines say what can be done about an execution that goes on, besides what its
// reasons to wait say.
func (a *app) liveLines(c *client.Client, x *explained) []string {
	var lines []string
	if retry := x.step(func(s *headracev1.NextStep) bool {
		return s.GetKind() == headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE
	}); retry != nil {
		lines = append(lines, "  retry what failed: "+x.command(a, c, retry))
	}
	return lines
}

// backLines say how to bring an execution back that has ended, or why that is not
// possible, and how to start anew.
func (a *app) backLines(c *client.Client, x *explained) []string {
	var lines []string
	retry := x.own(headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE)
	if retry != nil {
		lines = append(lines, "  retry it with: "+x.command(a, c, retry))
	}
	if override := x.own(headracev1.NextStepKind_NEXT_STEP_KIND_OVERRIDE_CONDITION); override != nil {
		lines = append(lines, "  or continue without the condition: "+x.command(a, c, override))
	}
	start := x.own(headracev1.NextStepKind_NEXT_STEP_KIND_START_EXECUTION)
	switch {
	case retry != nil && start != nil:
		lines = append(lines, "  or fix the cause and start a new execution: "+x.command(a, c, start))
	case retry == nil:
		lines = append(lines, a.refusedRetry(c, x)...)
	}
	return lines
}

// refusedRetry says why an execution that failed or was stopped cannot be retried, and
// what to do instead.
func (a *app) refusedRetry(c *client.Client, x *explained) []string {
	var lines []string
	start := x.own(headracev1.NextStepKind_NEXT_STEP_KIND_START_EXECUTION)
	if why := x.retryRefusal(); why != "" {
		lines = append(lines, "  "+why)
	}
	if start != nil {
		command := x.command(a, c, start)
		if len(lines) > 0 && strings.HasSuffix(lines[0], startAnew) {
			lines[0] += ": " + command
		} else {
			lines = append(lines, "  "+startAnew+": "+command)
		}
	}
	return lines
}

// startAnew is how refusals end after which only a new execution helps.
const startAnew = "start a new execution"

// retryRefusal returns why an execution cannot be retried, empty if nobody would try.
func (x *explained) retryRefusal() string {
	switch x.execution.GetStatus() {
	case headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, headracev1.ExecutionStatus_EXECUTION_STATUS_STOPPED,
		headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS:
	default:
		return ""
	}
	why := x.refusal(&headracev1.NextStep{Kind: headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE})
	if why == "" || strings.Contains(why, "cannot be") {
		return why
	}
	return "it cannot be retried: " + why
}

// refusal returns why a step is not possible, empty if the server does not say.
func (x *explained) refusal(want *headracev1.NextStep) string {
	for _, r := range x.GetRefusals() {
		if r.GetKind() == want.GetKind() && r.GetCondition() == want.GetCondition() && (want.GetStage() == "" || r.GetStage() == want.GetStage()) {
			return oneLine(r.GetMessage())
		}
	}
	return ""
}
