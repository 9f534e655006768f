package trigger

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	rules "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
)

// ValidateConfig checks the trigger as the server does, and without one. What is not known yet
// is checked by the apply, as is what depends on the pipeline.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	for argument, check := range map[string]func(string) error{
		"name": rules.CheckTrigger, "account": rules.CheckAccount, "pipeline": rules.CheckPipeline,
	} {
		problem.CheckName(ctx, &response.Diagnostics, request.Config, argument, check)
	}
	if config, ok := declared(ctx, &response.Diagnostics, request.Config); ok {
		config.checkNames(&response.Diagnostics)
		problem.AddViolations(&response.Diagnostics, config.domain().Validate(), nil, fieldpath.Trigger(), nil)
	}
}

// checkNames checks the names of the objects in the blocks, which the server gets as resource
// names.
func (m *model) checkNames(diags *diag.Diagnostics) {
	check := func(at path.Path, name types.String, check func(string) error) {
		if name.IsNull() || name.IsUnknown() {
			return
		}
		if err := check(name.ValueString()); err != nil {
			diags.AddAttributeError(at, "The name breaks a rule", problem.Sentence(err.Error()))
		}
	}
	for i := range m.Git {
		check(path.Root("git").AtListIndex(i).AtName("connection"), m.Git[i].Connection, rules.CheckConnection)
	}
	for i := range m.Webhook {
		check(path.Root("webhook").AtListIndex(i).AtName("webhook"), m.Webhook[i].Webhook, rules.CheckWebhook)
	}
}

// declared returns the configuration, unless it is not known yet which blocks it has.
func declared(ctx context.Context, diags *diag.Diagnostics, config tfsdk.Config) (*model, bool) {
	for _, name := range []string{"git", "webhook"} {
		var block types.List
		diags.Append(config.GetAttribute(ctx, path.Root(name), &block)...)
		if block.IsUnknown() {
			return nil, false
		}
	}
	m, ok := definition.Decode[model](ctx, diags, config)
	return &m, ok && !diags.HasError()
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	if config, ok := declared(ctx, &response.Diagnostics, request.Config); ok {
		problem.AddWarnings(&response.Diagnostics, reporter(config).Object, config.domain().Warnings(nil), fieldpath.Trigger(),
			func(fields rules.Path) rules.Path { return fields }, r.session.Tell)
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.TriggerName(account, names[0])
	}, "name")
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message { return m.message() }, "etag")
	planning.Support(ctx, r.session, response, func(m model) problem.Reporter { return reporter(&m) }, func(m model) proto.Message {
		return &headracev1.CreateTriggerRequest{Trigger: m.message()}
	})
	r.ask(ctx, request, response, unchanged)
}

// ask shows what the server would warn of and which values it would refuse. A server that does
// not answer, or refuses for another reason, says nothing here: the apply will say it.
func (r *Resource) ask(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse, unchanged bool,
) {
	if response.Diagnostics.HasError() || r.session.Applying() || !request.Config.Raw.IsFullyKnown() {
		return
	}
	var planned model
	response.Diagnostics.Append(response.Plan.Get(ctx, &planned)...)
	if response.Diagnostics.HasError() || planned.Account.IsUnknown() {
		return
	}
	create := request.State.Raw.IsNull() || len(response.RequiresReplace) > 0
	report := reporter(&planned)
	var trigger *headracev1.DeclaredTrigger
	asked, err := r.session.Ask(ctx, func(ctx context.Context, backend *client.Client) error {
		var err error
		trigger, err = dryRun(ctx, backend, &planned, create, unchanged)
		return err
	})
	switch {
	case !asked:
	case err == nil:
		report.Warn(&response.Diagnostics, trigger.GetWarnings(), r.session.Tell)
	case status.Code(err) == codes.InvalidArgument && len(client.Violations(err)) > 0 && !r.mayChange(ctx, &planned):
		report.Add(&response.Diagnostics, "plan", err)
	}
}

// mayChange tells whether the run changes what the trigger rests on, so that what the server
// refuses now may be right then.
func (r *Resource) mayChange(ctx context.Context, planned *model) bool {
	changes := func() bool { return slices.ContainsFunc(planned.uses(), r.session.Changes) }
	return !r.session.Await(ctx, planned.resourceName(), changes) || changes()
}

// dryRun returns the trigger as an apply would store it, with what it warns of.
func dryRun(ctx context.Context, backend *client.Client, planned *model, create, unchanged bool) (*headracev1.DeclaredTrigger, error) {
	switch {
	case create:
		answer, err := backend.Triggers.CreateTrigger(ctx, &headracev1.CreateTriggerRequest{Trigger: planned.message(), ValidateOnly: true})
		return answer.GetTrigger(), err
	case !unchanged:
		answer, err := backend.Triggers.UpdateTrigger(ctx, &headracev1.UpdateTriggerRequest{Trigger: planned.message(), ValidateOnly: true})
		return answer.GetTrigger(), err
	}
	// Anyone who may read the trigger may plan it unchanged.
	answer, err := backend.Triggers.GetTrigger(ctx, &headracev1.GetTriggerRequest{Name: planned.resourceName()})
	return answer.GetTrigger(), err
}

func reporter(m *model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("trigger %q", m.Name.ValueString()),
		Message: "trigger", Shape: fieldpath.Trigger(),
	}
}
