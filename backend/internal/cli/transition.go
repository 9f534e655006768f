package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) transitionCommand() *cobra.Command {
	return group("transition", "Enable or disable the transition into a stage", a.transitionSetCommand(false), a.transitionSetCommand(true))
}

// transitionSetCommand is transition enable or transition disable.
func (a *app) transitionSetCommand(enable bool) *cobra.Command {
	var reason string
	command := &cobra.Command{
		Use:   "disable PIPELINE STAGE",
		Short: "Disable the transition into a stage",
		Long: `Disable the transition into a stage. Executions that arrive at the stage wait until the
transition is enabled again. An execution that is inside the stage continues.`,
		Example: `  headrace transition disable web Deploy --reason "change freeze until Monday"`,
		Args:    cobra.ExactArgs(2),
	}
	if enable {
		command.Use, command.Short, command.Long = "enable PIPELINE STAGE", "Enable the transition into a stage", ""
		command.Example = "  headrace transition enable web Deploy"
	} else {
		command.Flags().StringVar(&reason, "reason", "", "reason, shown to users whose executions wait")
		required(command, "reason")
	}
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		response, err := c.Pipelines.SetStageTransition(ctx, &headracev1.SetStageTransitionRequest{
			Pipeline: pipelineName(c, args[0]), Stage: args[1], Enabled: enable, Reason: reason,
		})
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(response)
		}
		stage := response.GetStage()
		a.out.linef("stage %s of %s: %s", args[1], args[0], transitionText(stage.GetTransition()))
		if n := len(stage.GetInboundExecutions()); n > 0 {
			names := labels{}
			waiting, err := names.list(ctx, c, stage.GetInboundExecutions())
			if err != nil {
				return err
			}
			a.out.linef("in front of it: %s", waiting)
		}
		if !enable {
			a.out.linef("enable it with: %s", a.hint(c, "transition enable "+args[0]+" "+args[1]))
		}
		return nil
	})
	return command
}

// transitionText says whether a transition is open, and who closed it, when and why.
func transitionText(t *headracev1.StageTransition) string {
	text := "enabled"
	if !t.GetEnabled() {
		text = "disabled"
	}
	if t.GetPrincipal() != "" {
		text += fmt.Sprintf(" by %s at %s", t.GetPrincipal(), timeText(t.GetChangeTime()))
	}
	if t.GetDisabledReason() != "" {
		text += ": " + t.GetDisabledReason()
	}
	return oneLine(text)
}

func (a *app) pipelineStateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "state PIPELINE",
		Short: "Show which executions are in the stages of a pipeline",
		Long: `Show the state of each stage of a pipeline's newest version: whether its transition is
enabled, which execution is inside, which executions wait (the next one first), and
which one succeeded there last. It also shows how long each has been there, who started it,
and the gates of each stage: approvals, deployment windows and rules.`,
		Example: `  headrace pipeline state web`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{Name: pipelineName(c, args[0])})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			state := response.GetState()
			if state.GetExecutionMode() == headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL {
				a.out.linef("%s runs its executions in PARALLEL mode, past one another: look at them with: %s",
					client.Segment(state.GetName(), "pipelines"), a.hint(c, "execution list "+args[0]+" --status InProgress"))
				return nil
			}
			a.out.linef("%s  version %d  %s", client.Segment(state.GetName(), "pipelines"), state.GetPipelineVersion(),
				strings.TrimPrefix(state.GetExecutionMode().String(), "EXECUTION_MODE_"))
			a.out.linef("")
			names := labels{}
			var rows [][]string
			for i, stage := range state.GetStages() {
				target := stage.GetLatestSucceededExecution()
				if i == 0 {
					// The first stage is not rolled back.
					target = ""
				}
				row := []string{stage.GetStage(), transitionText(stage.GetTransition())}
				for _, executions := range [][]string{
					{stage.GetCurrentExecution()}, stage.GetInboundExecutions(), {target},
				} {
					text, err := names.list(ctx, c, executions)
					if err != nil {
						return err
					}
					row = append(row, text)
				}
				rows = append(rows, row)
			}
			a.out.table([]string{"STAGE", "TRANSITION", "INSIDE", "WAITING", "ROLLBACK TARGET"}, rows)
			a.out.lines(a.stageLines(state))
			return nil
		}),
	}
}

// stageLines say who is in the stages and who waits for them, since when, and what holds them
// up.
func (a *app) stageLines(state *headracev1.PipelineState) []string {
	var lines []string
	occupant := func(o *headracev1.StageOccupant, what string) string {
		text := fmt.Sprintf("#%d %s for %s, started by %s", o.GetNumber(), what, elapsed(o.GetSince(), nil, a.Now()), o.GetPrincipal())
		if o.GetPrincipal() == "" {
			text = strings.TrimSuffix(text, ", started by ")
		}
		if o.GetStopping() {
			text += ", is being stopped"
		}
		return "  " + oneLine(text)
	}
	for _, stage := range state.GetStages() {
		var of []string
		if stage.GetHolder() != nil {
			of = append(of, occupant(stage.GetHolder(), "inside"))
		}
		for i, o := range stage.GetWaiting() {
			of = append(of, occupant(o, fmt.Sprintf("waiting in position %d", i+1)))
		}
		for _, gate := range stage.GetGates() {
			of = append(of, "  "+a.gateText(gate))
		}
		if len(of) > 0 {
			lines = append(append(lines, "", stage.GetStage()), of...)
		}
	}
	return lines
}

// gateText says what a gate is, how far it is and who waits at it.
func (a *app) gateText(gate *headracev1.StageGate) string {
	var text string
	switch {
	case gate.GetRule() != "":
		text = fmt.Sprintf("%s %s of %s", enumText(gate.GetKind(), "STAGE_GATE_KIND_"), gate.GetRule(), gate.GetCondition())
	case gate.GetAction() != "":
		text = "approval " + gate.GetAction()
	default:
		text = "approval of the entry"
	}
	for i, r := range gate.GetApprovals() {
		separator := ","
		if i == 0 {
			separator = ":"
		}
		text += fmt.Sprintf("%s %d of %d", separator, r.GetApprovedCount(), r.GetMinimumCount())
		if r.GetRule() != "" {
			text += " for rule " + lastSegment(r.GetRule())
		}
	}
	if gate.GetExecution() == "" {
		return oneLine(text)
	}
	text += fmt.Sprintf("; #%d waits", gate.GetExecutionNumber())
	if gate.GetSince() != nil {
		text += " for " + elapsed(gate.GetSince(), nil, a.Now())
	}
	if gate.GetUntil() != nil {
		text += ", until " + timeText(gate.GetUntil())
	}
	return oneLine(text)
}

// list returns the short forms of executions, a dash of none.
func (l labels) list(ctx context.Context, c *client.Client, names []string) (string, error) {
	var shorts []string
	for _, name := range names {
		if name == "" {
			continue
		}
		short, err := l.of(ctx, c, name)
		if err != nil {
			return "", err
		}
		shorts = append(shorts, short)
	}
	if len(shorts) == 0 {
		return "-", nil
	}
	return strings.Join(shorts, ", "), nil
}
