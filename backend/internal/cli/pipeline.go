package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) pipelineCommand() *cobra.Command {
	return group("pipeline", "List and show pipelines, their state and their versions", &cobra.Command{
		Use:     "list",
		Short:   "List the pipelines of the account",
		Example: `  headrace pipeline list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &headracev1.ListPipelinesResponse{}
			request := &headracev1.ListPipelinesRequest{Parent: client.AccountName(c.Account)}
			for {
				page, err := c.Pipelines.ListPipelines(ctx, request)
				if err != nil {
					return err
				}
				all.Pipelines = append(all.Pipelines, page.GetPipelines()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, p := range all.GetPipelines() {
				rows = append(rows, []string{
					client.Segment(p.GetName(), "pipelines"), versionText(p), modeText(p.GetDefinition()),
					enumText(p.GetComposition(), "COMPOSITION_"), timeText(p.GetUpdateTime()), p.GetDefinition().GetDescription(),
				})
			}
			a.out.table([]string{"PIPELINE", "VERSION", "MODE", "COMPOSITION", "UPDATED", "DESCRIPTION"}, rows)
			return nil
		}),
	}, &cobra.Command{
		Use:     "show PIPELINE",
		Short:   "Show the definition of a pipeline",
		Example: `  headrace pipeline show web`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			response, err := c.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: pipelineName(c, args[0])})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.showPipeline(response.GetPipeline())
			return nil
		}),
	}, a.pipelineStateCommand(), a.pipelineVersionsCommand(), a.pipelineDiffCommand())
}

func (a *app) showPipeline(p *headracev1.Pipeline) {
	definition := p.GetDefinition()
	a.out.fields(
		"Pipeline", client.Segment(p.GetName(), "pipelines"), "Description", definition.GetDescription(),
		"Version", versionText(p), "Mode", modeText(definition), "On update", onUpdateText(definition), "Composition", enumText(p.GetComposition(), "COMPOSITION_"),
		"Updated", timeText(p.GetUpdateTime()),
	)
	if variables := definition.GetVariables(); len(variables) > 0 {
		a.out.linef("")
		var rows [][]string
		for _, v := range variables {
			value := "(required)"
			if v.DefaultValue != nil {
				value = v.GetDefaultValue()
			}
			rows = append(rows, []string{v.GetName(), value, v.GetDescription()})
		}
		a.out.table([]string{"VARIABLE", "DEFAULT", "DESCRIPTION"}, rows)
	}
	a.out.linef("")
	var rows [][]string
	for _, stage := range definition.GetStages() {
		for _, action := range stage.GetActions() {
			var outputs []string
			for _, artifact := range action.GetOutputArtifacts() {
				outputs = append(outputs, artifact.GetName())
			}
			rows = append(rows, []string{
				stage.GetName(), fmt.Sprint(max(action.GetRunOrder(), 1)), action.GetName(),
				action.GetCategory() + "/" + action.GetProvider(),
				strings.Join(action.GetInputArtifacts(), ", "), strings.Join(outputs, ", "),
			})
		}
	}
	a.out.table([]string{"STAGE", "ORDER", "ACTION", "TYPE", "INPUTS", "OUTPUTS"}, rows)
	a.showConditions(definition)
}

// showConditions prints what is checked around stages and what follows, where there
// is any.
func (a *app) showConditions(definition *headracev1.PipelineDefinition) {
	var rows [][]string
	for _, stage := range definition.GetStages() {
		row := func(name, result string, condition *headracev1.Condition) {
			var rules []string
			for _, rule := range condition.GetRules() {
				rules = append(rules, rule.GetName()+" "+rule.GetProvider())
			}
			if condition != nil || result != "" {
				rows = append(rows, []string{stage.GetName(), name, result, strings.Join(rules, ", ")})
			}
		}
		row("before-entry", stage.GetBeforeEntry().GetResult(), stage.GetBeforeEntry())
		row("on-success", stage.GetOnSuccess().GetResult(), stage.GetOnSuccess())
		failure := stage.GetOnFailure()
		row("on-failure", strings.TrimSpace(failure.GetResult()+" "+failure.GetRetryMode()), nil)
		row("on-failure", failure.GetCondition().GetResult(), failure.GetCondition())
		row("on-rollback", skipsText(stage.GetOnRollback()), nil)
	}
	if len(rows) > 0 {
		a.out.linef("")
		a.out.table([]string{"STAGE", "CONDITION", "RESULT", "RULES"}, rows)
	}
}

// skipsText names the gates that an automatic rollback skips, if any.
func skipsText(r *headracev1.OnRollback) string {
	var gates []string
	if r.GetSkipConditions() {
		gates = append(gates, "conditions")
	}
	if r.GetSkipApprovals() {
		gates = append(gates, "approvals")
	}
	if len(gates) == 0 {
		return ""
	}
	return "skips " + strings.Join(gates, " and ")
}

// onUpdateText says what a new version does to live executions.
func onUpdateText(definition *headracev1.PipelineDefinition) string {
	if definition.GetOnUpdate() == headracev1.OnUpdate_ON_UPDATE_UNSPECIFIED {
		return "finish"
	}
	return enumText(definition.GetOnUpdate(), "ON_UPDATE_")
}

func versionText(p *headracev1.Pipeline) string {
	text := "-"
	if p.GetVersion() > 0 {
		text = fmt.Sprint(p.GetVersion())
	}
	if p.GetUnpublishedChanges() {
		text += " (changed since)"
	}
	return text
}

func modeText(definition *headracev1.PipelineDefinition) string {
	mode := definition.GetExecutionMode()
	if mode == headracev1.ExecutionMode_EXECUTION_MODE_UNSPECIFIED {
		mode = headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED
	}
	return strings.TrimPrefix(mode.String(), "EXECUTION_MODE_")
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
