package webhook

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
	"github.com/headrace/terraform-provider-headrace/internal/provider/planning"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
)

// ValidateConfig checks the webhook as the server does, and without one. What is not known
// yet is checked by the apply, as the secret is.
func (r *Resource) ValidateConfig(
	ctx context.Context, request resource.ValidateConfigRequest, response *resource.ValidateConfigResponse,
) {
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "name", domain.CheckWebhook)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "account", domain.CheckAccount)
	problem.CheckName(ctx, &response.Diagnostics, request.Config, "connection_name", domain.CheckConnection)
	raw, err := definition.Certain(request.Config.Raw)
	if err != nil {
		response.Diagnostics.AddError("The webhook cannot be checked", err.Error())
		return
	}
	certain := request.Config
	certain.Raw = raw
	var config model
	response.Diagnostics.Append(certain.Get(ctx, &config)...)
	if response.Diagnostics.HasError() || !raw.Equal(request.Config.Raw) {
		return
	}
	problem.AddViolations(&response.Diagnostics, domain.ValidateWebhook(config.domain()), nil, fieldpath.Webhook(), nil)
}

// ModifyPlan fills in what depends on the provider or on other arguments.
func (r *Resource) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		return
	}
	planning.Name(ctx, r.session, request, response, func(account string, names []string) string {
		return client.WebhookName(account, names[0])
	}, "name")
	unchanged := planning.Settle(ctx, request, response, func(m model) proto.Message {
		// The version of the argument is never sent, but decides whether anything is.
		return &headracev1.CreateWebhookRequest{Webhook: m.message(), RequestId: m.SecretWOVersion.String()}
	}, "secret_version", "secret_set_time", "url", "etag")
	planning.NoteChange(ctx, r.session, response, unchanged)
	planning.Support(ctx, r.session, response, func(m model) problem.Reporter { return reporter(&m) }, func(m model) proto.Message {
		return &headracev1.CreateWebhookRequest{Webhook: m.message()}
	})
	r.planSecret(ctx, request, response, unchanged)
}

// planSecret plans that a webhook whose secret is not set keeps its version, and refuses a
// plan that has no secret to set, or one that the server refuses.
func (r *Resource) planSecret(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse, unchanged bool,
) {
	raw, err := definition.Certain(response.Plan.Raw)
	if err != nil || response.Diagnostics.HasError() {
		return // Support has reported it.
	}
	certain := response.Plan
	certain.Raw = raw
	var plan model
	var secret types.String
	response.Diagnostics.Append(certain.Get(ctx, &plan)...)
	response.Diagnostics.Append(request.Config.GetAttribute(ctx, path.Root("secret_wo"), &secret)...)
	create := request.State.Raw.IsNull() || len(response.RequiresReplace) > 0
	state := &model{}
	if !create {
		response.Diagnostics.Append(request.State.Get(ctx, state)...)
	}
	if response.Diagnostics.HasError() {
		return
	}
	sets := create || plan.setsSecret(state)
	switch {
	case !sets:
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("secret_version"), state.SecretVersion)...)
		response.Diagnostics.Append(response.Plan.SetAttribute(ctx, path.Root("secret_set_time"), state.SecretSetTime)...)
		secret = types.StringNull()
	case secret.IsNull():
		response.Diagnostics.AddAttributeError(path.Root("secret_wo_version"), "secret_wo is not set",
			"The plan sets the secret of "+reporter(&plan).Object+", since it creates the webhook, secret_wo_version changes, or somebody else "+
				"has set another secret. Set secret_wo.")
		return
	}
	if unchanged || r.session.Applying() || !request.Config.Raw.IsFullyKnown() || plan.Account.IsUnknown() {
		return
	}
	wanted := plan.message()
	wanted.Secret = secret.ValueString()
	asked, err := r.session.Ask(ctx, func(ctx context.Context, backend *client.Client) error {
		return dryRun(ctx, backend, wanted, create)
	})
	// An apply may be refused for other reasons that do not hold any more then.
	if asked && status.Code(err) == codes.InvalidArgument && !r.session.Changes(wanted.GetConnection()) {
		reporter(&plan).Add(&response.Diagnostics, "plan", err)
	}
}

// dryRun asks the server whether it would store a webhook.
func dryRun(ctx context.Context, backend *client.Client, wanted *headracev1.Webhook, create bool) error {
	if create {
		_, err := backend.Webhooks.CreateWebhook(ctx, &headracev1.CreateWebhookRequest{Webhook: wanted, ValidateOnly: true})
		return err
	}
	_, err := backend.Webhooks.UpdateWebhook(ctx, &headracev1.UpdateWebhookRequest{Webhook: wanted, ValidateOnly: true})
	return err
}

func reporter(m *model) problem.Reporter {
	return problem.Reporter{
		Object:  fmt.Sprintf("webhook %q", m.Name.ValueString()),
		Message: "webhook", Shape: fieldpath.Webhook(),
	}
}
