package server_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// This file is all that two types of actions and two types of rules need: their declarations
// and their executors. The tests below find them in validation, the engine, the API and the
// command line.

// ticket is a source that reads a ticket in turns.
func ticket() server.Kind {
	return server.Kind{
		Type: pipeline.Type{
			ID:      pipeline.TypeID{Category: pipeline.CategorySource, Owner: "Test", Provider: "Ticket", Version: "1"},
			Summary: "Reads a ticket.",
			Work:    pipeline.WorkTurn,
			Properties: []pipeline.Property{
				{Name: "Number", Type: pipeline.PropertyNumber, Required: true, Description: "Number of the ticket."},
				{Name: "Wait", Type: pipeline.PropertyDuration, Description: "Time to wait for the ticket."},
				{Name: "Queue", Default: "web", Allowed: []string{"web", "mobile"}, Description: "Queue of the ticket."},
				{Name: "Fields", Type: pipeline.PropertyJSON, Description: "Fields to read."},
				{Name: "Open", Type: pipeline.PropertyBoolean, Description: "Whether the ticket must be open."},
			},
			Exclusive:      [][]string{{"Fields", "Open"}},
			Variables:      []pipeline.OutputVariable{{Name: "Title", Description: "Title of the ticket."}},
			DefaultTimeout: time.Hour,
		},
		Turn: reader{},
	}
}

type reader struct{}

func (reader) Take(_ context.Context, turn action.Turn, _ action.Tools) action.Outcome {
	if turn.State == nil {
		return action.Outcome{Again: &action.Again{State: []byte("asked")}}
	}
	c := turn.Action.Configuration
	return action.Outcome{Result: action.Result{Variables: map[string]string{"Title": fmt.Sprintf("ticket %s of %s", c["Number"], c["Queue"])}}}
}

func (reader) Abandon(context.Context, action.Turn, action.Tools) error { return nil }

// quota is a rule that a runner carries out.
func quota() server.Kind {
	return server.Kind{
		Type: pipeline.Type{
			ID:      pipeline.TypeID{Category: pipeline.CategoryRule, Owner: pipeline.Owner, Provider: "Quota", Version: "1"},
			Summary: "Looks whether there is room.",
			Work:    pipeline.WorkAttempt,
			Properties: []pipeline.Property{
				{Name: "Least", Type: pipeline.PropertyNumber, Default: "3", Description: "Least room."},
			},
			OnLost:         pipeline.OnLostFail,
			DefaultTimeout: time.Hour,
		},
		Attempt: meter{},
	}
}

type meter struct{}

func (meter) Execute(_ context.Context, attempt action.Attempt, w action.Workspace) action.Result {
	if _, err := io.WriteString(w.Log, "looking\n"); err != nil {
		return action.Failed(action.SystemUnavailable, "%s", err)
	}
	return action.Result{Summary: "room for " + attempt.Action.Configuration["Least"]}
}

// titled is a rule that is decided at once.
func titled() server.Kind {
	return server.Kind{Type: pipeline.Type{
		ID:      pipeline.TypeID{Category: pipeline.CategoryRule, Owner: pipeline.Owner, Provider: "Titled", Version: "1"},
		Summary: "Checks a title.",
		Work:    pipeline.WorkImmediate,
		Properties: []pipeline.Property{
			{Name: "Title", Required: true, Description: "Title to check."},
			{Name: "Accept", Default: "any", Description: "Titles to accept."},
		},
		MaySkip: true,
		Decide: func(values map[string]string, facts pipeline.Facts) (bool, string, error) {
			return values["Title"] != "" && values["Accept"] == "any", fmt.Sprintf("%q in stage %s", values["Title"], facts.Execution.Stage), nil
		},
	}}
}

// judge is an action that is decided at once.
func judge() server.Kind {
	return server.Kind{Type: pipeline.Type{
		ID:      pipeline.TypeID{Category: pipeline.CategoryInvoke, Owner: "Test", Provider: "Judge", Version: "1"},
		Summary: "Compares a title.",
		Work:    pipeline.WorkImmediate,
		Properties: []pipeline.Property{
			{Name: "Title", Required: true, Description: "Title to compare."},
			{Name: "Wanted", Default: "ticket 7 of web", Description: "Title to find."},
		},
		Decide: func(values map[string]string, _ pipeline.Facts) (bool, string, error) {
			return values["Title"] == values["Wanted"], "compared with " + values["Wanted"], nil
		},
	}}
}

// kindsInUse returns a definition that uses them all.
func kindsInUse() *v1.PipelineDefinition {
	return &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Read", Category: "Source", Owner: "Test", Provider: "Ticket", Version: "1", Namespace: "ticket",
			Configuration: map[string]string{"Number": "7"},
		}}},
		{
			Name: "Check", Actions: []*v1.Action{
				{Name: "Judge", Category: "Invoke", Owner: "Test", Provider: "Judge", Version: "1", Configuration: map[string]string{"Title": "#{ticket.Title}"}},
				{Name: "Agree", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1", RunOrder: 2},
			},
			BeforeEntry: &v1.Condition{Result: "FAIL", Rules: []*v1.Rule{
				{Name: "room", Provider: "Quota"},
				{Name: "title", Provider: "Titled", Configuration: map[string]string{"Title": "#{ticket.Title}"}},
			}},
		},
	}}
}

// TestAddedKindsRun holds that an action and rules of added types run.
func TestAddedKindsRun(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithKinds(ticket(), judge(), quota(), titled()))
	c := b.Admin()
	name := client.PipelineName("default", "web")
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: kindsInUse()}})
	require.NoError(t, err)
	started, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: name})
	require.NoError(t, err)
	var stage *v1.StageExecution
	require.Eventually(t, func() bool {
		stages := read(t, b, started.GetExecution().GetName()).GetStages()
		if len(stages) < 2 {
			return false
		}
		stage = stages[1]
		return len(stage.GetActions()) == 2
	}, 20*time.Second, time.Millisecond)
	var summaries []string
	for _, rule := range stage.GetConditions()[0].GetRules() {
		require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, rule.GetStatus(), rule.GetSummary())
		summaries = append(summaries, rule.GetSummary())
	}
	judged := stage.GetActions()[0]
	require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, judged.GetStatus())
	require.Equal(t, "compared with ticket 7 of web", judged.GetSummary())
	require.Equal(t, []string{"room for 3", `"ticket 7 of web" in stage Check`}, summaries)
}

// TestAddedKindsAreValidated holds that a definition is checked by the declarations of added
// types.
func TestAddedKindsAreValidated(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithKinds(ticket(), judge(), quota(), titled()))
	source := func(d *v1.PipelineDefinition) map[string]string {
		return d.GetStages()[0].GetActions()[0].GetConfiguration()
	}
	for name, test := range map[string]struct {
		change func(d *v1.PipelineDefinition)
		wants  string
	}{
		"unknown key":    {func(d *v1.PipelineDefinition) { source(d)["Nubmer"] = "7" }, `no configuration key "Nubmer" (did you mean "Number"?)`},
		"missing key":    {func(d *v1.PipelineDefinition) { delete(source(d), "Number") }, `Source/Test/Ticket/1 needs the configuration key "Number"`},
		"number":         {func(d *v1.PipelineDefinition) { source(d)["Number"] = "seven" }, "the value is not a number"},
		"duration":       {func(d *v1.PipelineDefinition) { source(d)["Wait"] = "7" }, "the value is not a duration"},
		"boolean":        {func(d *v1.PipelineDefinition) { source(d)["Open"] = "yes" }, "the value is not a boolean"},
		"JSON":           {func(d *v1.PipelineDefinition) { source(d)["Fields"] = "{" }, "the value is not valid JSON"},
		"allowed value":  {func(d *v1.PipelineDefinition) { source(d)["Queue"] = "mobil" }, `value "mobil" is not known (did you mean "mobile"?)`},
		"exclusive keys": {func(d *v1.PipelineDefinition) { source(d)["Open"], source(d)["Fields"] = "true", "[]" }, "Fields and Open cannot both be set"},
		"output variable": {func(d *v1.PipelineDefinition) {
			d.GetStages()[1].GetBeforeEntry().GetRules()[1].Configuration["Title"] = "#{ticket.Titel}"
		}, `publishes no variable "Titel" (did you mean "Title"?)`},
		"rule key": {func(d *v1.PipelineDefinition) {
			d.GetStages()[1].GetBeforeEntry().GetRules()[1].Configuration["Titel"] = "x"
		}, `a Titled rule has no configuration key "Titel"`},
		"commands": {func(d *v1.PipelineDefinition) {
			d.GetStages()[1].GetBeforeEntry().GetRules()[0].Commands = []string{"true"}
		}, "a Quota rule takes no commands; only a Commands rule does"},
		"skip": {func(d *v1.PipelineDefinition) { d.GetStages()[1].GetBeforeEntry().Result = "SKIP" }, "Titled"},
		"role": {func(d *v1.PipelineDefinition) {
			d.GetStages()[0].GetActions()[0].RoleArn = "arn:aws:iam::123456789012:role/deploy"
		}, "Source/Test/Ticket/1 takes no IAM role; remove role_arn"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			definition := kindsInUse()
			test.change(definition)
			_, err := b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{
				Pipeline: &v1.Pipeline{Name: client.PipelineName("default", "web"), Definition: definition}, ValidateOnly: true,
			})
			require.ErrorContains(t, err, test.wants)
		})
	}
}

// TestAddedTypesAreDocumented finds them in the documentation.
func TestAddedTypesAreDocumented(t *testing.T) {
	t.Parallel()
	pages := catalog.Pages([]pipeline.Type{ticket().Type, quota().Type})
	require.Len(t, pages, 2)
	require.Equal(t, "action_test_ticket", pages[0].Name())
	text := pages[0].Markdown("# The example")
	require.Contains(t, text, "Reads a ticket.")
	require.Contains(t, text, "# The example")
	require.Contains(t, text, "| `Number` | Number | yes | Number of the ticket. |")
	require.Contains(t, text, "| `Queue` | String | no | Queue of the ticket. One of `web`, `mobile`. Defaults to `web`. |")
	require.Contains(t, text, "At most one of `Fields`, `Open` may be set.")
	require.Contains(t, text, "| `Title` | Title of the ticket. |")
	require.Equal(t, "rule_quota", pages[1].Name())
	require.Contains(t, pages[1].Markdown(""), "| `Least` | Number | no | Least room. Defaults to `3`. |")
}

// TestAddedKindsAreListed holds that the API and the command line show added types.
func TestAddedKindsAreListed(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithKinds(ticket(), quota(), titled()))
	actions, err := b.Admin().Catalog.ListActionTypes(t.Context(), &v1.ListActionTypesRequest{Parent: "accounts/default"})
	require.NoError(t, err)
	i := slices.IndexFunc(actions.GetActionTypes(), func(a *v1.ActionType) bool { return a.GetId().GetProvider() == "Ticket" })
	require.GreaterOrEqual(t, i, 0)
	added := actions.GetActionTypes()[i]
	require.Equal(t, "Reads a ticket.", added.GetSummary())
	require.Equal(t, v1.ConfigurationPropertyType_CONFIGURATION_PROPERTY_TYPE_DURATION, added.GetActionConfigurationProperties()[1].GetType())
	require.Equal(t, []string{"web", "mobile"}, added.GetActionConfigurationProperties()[2].GetAllowedValues())
	rules, err := b.Admin().Catalog.ListRuleTypes(t.Context(), &v1.ListRuleTypesRequest{Parent: "accounts/default"})
	require.NoError(t, err)
	var providers []string
	for _, rule := range rules.GetRuleTypes() {
		providers = append(providers, rule.GetId().GetProvider())
	}
	require.Subset(t, providers, []string{"Quota", "Titled"})

	headrace := func(args ...string) string {
		var stdout, stderr bytes.Buffer
		environment := map[string]string{client.EnvEndpoint: b.Endpoint, client.EnvToken: b.AdminToken}
		code := cli.Run(t.Context(), cli.Process{
			Args: args, Stdout: &stdout, Stderr: &stderr, Getenv: func(key string) string { return environment[key] }, Version: "test",
		})
		require.Equal(t, cli.ExitOK, code, stderr.String())
		return stdout.String()
	}
	require.Regexp(t, `Source/Test/Ticket/1 +Reads a ticket\.`, headrace("action-type", "list"))
	shown := headrace("action-type", "show", "source/ticket")
	for _, line := range []string{
		"  Number (number, required)\n    Number of the ticket.", "  Queue (string, default web, one of web mobile)",
		"  Set at most one of Fields, Open.", "  Title\n    Title of the ticket.",
	} {
		require.Contains(t, shown, line+"\n")
	}
	require.Contains(t, headrace("rule-type", "show", "titled"), "Allows SKIP      yes\n")
}
