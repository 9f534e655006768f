package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) executionRetryCommand() *cobra.Command {
	var (
		stage  string
		all    bool
		follow bool
	)
	command := &cobra.Command{
		Use:   "retry EXECUTION",
		Short: "Retry the failed actions of a stage in the same execution",
		Long: `Retry the failed actions of the stage in which an execution ended. The same execution
then continues from that stage. Actions that succeeded are not run again unless you set
--all-actions. If a condition or an approval failed and no action did, --all-actions is
required.

Only an execution that failed or was stopped inside a stage can be retried, or one in which
an action failed while others still run. The execution must run the newest version, and
no later execution may have entered the stage. "headrace explain" says whether it can be
retried.

With the name of a pipeline, exactly one of its executions must be retryable. If
several are, the command lists them.`,
		Example: `  headrace execution retry web
  headrace execution retry web#3 --stage Deploy --all-actions -f`,
		Args: cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.offered(ctx, c, args[0], "retried", &headracev1.NextStep{
				Kind: headracev1.NextStepKind_NEXT_STEP_KIND_RETRY_STAGE, Stage: stage,
			})
			if err != nil {
				return err
			}
			request := &headracev1.RetryStageRequest{
				Name: e.GetName(), Stage: stage, Mode: headracev1.RetryMode_RETRY_MODE_FAILED_ACTIONS,
			}
			if all {
				request.Mode = headracev1.RetryMode_RETRY_MODE_ALL_ACTIONS
			}
			response, err := c.Executions.RetryStage(ctx, request)
			if err != nil {
				return err
			}
			e = response.GetExecution()
			if !a.json() && !follow {
				a.out.linef("retried stage %s of %s", lastStage(e).GetStage(), label(e))
			}
			return a.goesOn(ctx, c, response, follow)
		}),
	}
	command.Flags().StringVar(&stage, "stage", "", "stage to retry; the command fails if the execution ended in another one")
	command.Flags().BoolVar(&all, "all-actions", false, "run all actions of the stage again, including those that succeeded")
	command.Flags().BoolVarP(&follow, "follow", "f", false, "watch the execution until it ends")
	return command
}

// goesOn ends a command after which an execution runs: it follows it, or says how.
func (a *app) goesOn(ctx context.Context, c *client.Client, response executionResponse, follow bool) error {
	e := response.GetExecution()
	if follow {
		return a.follow(ctx, c, e)
	}
	if a.json() {
		return a.out.document(response)
	}
	a.out.linef("watch it with: %s", a.hint(c, "execution watch "+label(e)))
	return nil
}

func (a *app) executionOverrideCommand() *cobra.Command {
	var (
		stage, condition, reason string
		follow                   bool
	)
	command := &cobra.Command{
		Use:   "override EXECUTION",
		Short: "Override a condition that blocks or failed an execution",
		Long: `Override a condition of a stage that blocks or failed an execution. The execution
continues as if the condition had been met, and records who overrode it and why.

With the name of a pipeline, exactly one of its executions must be blocked by the
condition or have failed because of it. If there are several, the command lists them.`,
		Example: `  headrace execution override web#3 --stage Deploy --condition before-entry --reason "urgent fix, agreed with ops"`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			kind, err := parseCondition(condition)
			if err != nil {
				return err
			}
			what := fmt.Sprintf("continued without the %s condition of stage %s", kindText(kind), stage)
			e, err := a.offered(ctx, c, args[0], what, &headracev1.NextStep{
				Kind: headracev1.NextStepKind_NEXT_STEP_KIND_OVERRIDE_CONDITION, Stage: stage, Condition: kind,
			})
			if err != nil {
				return err
			}
			response, err := c.Executions.OverrideCondition(ctx, &headracev1.OverrideConditionRequest{
				Name: e.GetName(), Stage: stage, Condition: kind, Reason: reason,
			})
			if err != nil {
				return err
			}
			if !a.json() && !follow {
				a.out.linef("overrode the %s condition of stage %s of %s", kindText(kind), stage, label(response.GetExecution()))
			}
			return a.goesOn(ctx, c, response, follow)
		}),
	}
	command.Flags().StringVar(&stage, "stage", "", "stage that has the condition")
	command.Flags().StringVar(&condition, "condition", "", "condition to override: before-entry or on-success")
	command.Flags().StringVar(&reason, "reason", "", "reason for the override, recorded in the history")
	command.Flags().BoolVarP(&follow, "follow", "f", false, "watch the execution until it ends")
	required(command, "stage", "condition", "reason")
	return command
}

// parseCondition takes a condition as the text shows it or as JSON does.
func parseCondition(text string) (headracev1.ConditionKind, error) {
	for _, kind := range []headracev1.ConditionKind{
		headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY, headracev1.ConditionKind_CONDITION_KIND_ON_SUCCESS,
	} {
		if strings.EqualFold(strings.ReplaceAll(text, "_", "-"), kindText(kind)) || strings.EqualFold(text, kind.String()) {
			return kind, nil
		}
	}
	return 0, usagef("--condition is %q: use before-entry or on-success", text)
}

func (a *app) rollbackCommand() *cobra.Command {
	var (
		to, requestID string
		follow        bool
	)
	command := &cobra.Command{
		Use:   "rollback PIPELINE STAGE",
		Short: "Roll a stage back to an earlier execution",
		Long: `Roll a stage back: run it again with the revisions, variables and artifacts of an
earlier execution that succeeded in it. This starts a new execution, which ends with the
stage. "headrace pipeline state" shows the execution that an automatic rollback would
use. The stage, and what it uses from other stages, must be the same in the version of that
execution and in the newest version. The new execution meets the approvals and conditions
of the stage, even if on_rollback skips them in automatic rollbacks.

With --follow, the command watches the new execution as "headrace run" does.`,
		Example: `  headrace rollback web Deploy --to 3 -f
  headrace rollback web Deploy --to 6f1c2d3e-0000-4000-8000-000000000003`,
		Args: cobra.ExactArgs(2),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			target, err := a.target(ctx, c, args[0], to)
			if err != nil {
				return err
			}
			response, err := c.Executions.RollbackStage(ctx, &headracev1.RollbackStageRequest{
				Pipeline: pipelineName(c, args[0]), Stage: args[1], TargetExecution: target.GetName(), RequestId: requestID,
			})
			if err != nil {
				return err
			}
			e := response.GetExecution()
			if !a.json() && !follow {
				a.out.linef("started %s (%s), which rolls stage %s back to %s", label(e), e.GetId(), args[1], label(target))
			}
			return a.goesOn(ctx, c, response, follow)
		}),
	}
	command.Flags().StringVar(&to, "to", "", "execution to roll back to: its number, id or PIPELINE#NUMBER")
	command.Flags().StringVar(&requestID, "request-id", "", "id of this request; repeating it returns the execution that was started the first time")
	command.Flags().BoolVarP(&follow, "follow", "f", false, "watch the execution until it ends")
	required(command, "to")
	return command
}

// target returns the execution of a pipeline that a user's word names: by its
// number alone or as elsewhere, but not by the pipeline, since its latest execution
// is seldom meant.
func (a *app) target(ctx context.Context, c *client.Client, pipelineWord, word string) (*headracev1.Execution, error) {
	if number, err := strconv.ParseInt(word, 10, 64); err == nil && number > 0 {
		return byNumber(ctx, c, pipelineWord, number)
	}
	_, err := uuid.Parse(word)
	if err != nil && !strings.Contains(word, "#") && client.Segment(word, "executions") == "" {
		return nil, usagef("--to is %q: use the number or the id of an execution", word)
	}
	return a.execution(ctx, c, word)
}

// required marks flags that have to be given.
func required(command *cobra.Command, flags ...string) {
	for _, flag := range flags {
		cobra.CheckErr(command.MarkFlagRequired(flag))
	}
}
