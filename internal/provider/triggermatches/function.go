// Package triggermatches is the function trigger_matches, which decides whether an event
// starts an execution, as the server would. It never talks to a server.
package triggermatches

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// Function is trigger_matches.
type Function struct{}

// New returns the function.
func New() function.Function { return &Function{} }

// Metadata returns the name of the function.
func (*Function) Metadata(_ context.Context, _ function.MetadataRequest, response *function.MetadataResponse) {
	response.Name = "trigger_matches"
}

// Definition returns the parameters and the result.
func (*Function) Definition(_ context.Context, _ function.DefinitionRequest, response *function.DefinitionResponse) {
	response.Definition = function.Definition{
		Summary: "Decides whether an event starts an execution",
		MarkdownDescription: "Decides whether a push or an event of a pull request starts an execution, by the code that the server uses. " +
			"It needs no server, so `terraform test` can hold what a trigger is meant for.\n\n" +
			"The result is an object with `matched`, `reason` (a constant such as `BRANCH_EXCLUDED`) and `message`, a sentence with the " +
			"entry, the pattern and the path that decided.",
		Parameters: []function.Parameter{
			function.DynamicParameter{
				Name: "trigger",
				MarkdownDescription: "Trigger: a `trigger` block of a `headrace_pipeline`, a `headrace_trigger` with a `git` block, or an object with the " +
					"arguments of one, such as `push` and `pull_request`. Without both every push of a branch matches.",
			},
			function.DynamicParameter{
				Name: "event",
				MarkdownDescription: "Event: an object with one of `branch`, `tag` and `pull_request`. A push may have `created` (defaults to true for tags and " +
					"to false for branches) and `deleted`. A `pull_request` is an object with `destination_branch`, and may have `event` (`OPEN`, `UPDATED` or " +
					"`CLOSED`, defaults to `OPEN`), `source_branch`, `number` and `fork`. Each may have `files`, the paths of changed files, and `message`, the " +
					"message of the head commit.",
			},
		},
		Return: function.ObjectReturn{AttributeTypes: resultTypes()},
	}
}

func resultTypes() map[string]attr.Type {
	return map[string]attr.Type{"matched": types.BoolType, "reason": types.StringType, "message": types.StringType}
}

// Run decides.
func (*Function) Run(ctx context.Context, request function.RunRequest, response *function.RunResponse) {
	var declared, happened types.Dynamic
	if response.Error = request.Arguments.Get(ctx, &declared, &happened); response.Error != nil {
		return
	}
	git, err := readTrigger(ctx, declared)
	if err != nil {
		response.Error = function.NewArgumentFuncError(0, err.Error())
		return
	}
	event, files, err := readEvent(ctx, happened)
	if err != nil {
		response.Error = function.NewArgumentFuncError(1, err.Error())
		return
	}
	result := trigger.Match(git, event, files)
	if result.Outcome == trigger.Undecided {
		response.Error = function.NewArgumentFuncError(1, "the trigger filters by changed files, and the event has none; add files, which may be an empty list")
		return
	}
	object, diags := types.ObjectValue(resultTypes(), map[string]attr.Value{
		"matched": types.BoolValue(result.Outcome == trigger.Matched),
		"reason":  types.StringValue(string(result.Reason)),
		"message": types.StringValue(result.Message),
	})
	if response.Error = function.FuncErrorFromDiags(ctx, diags); response.Error == nil {
		response.Error = response.Result.Set(ctx, object)
	}
}
