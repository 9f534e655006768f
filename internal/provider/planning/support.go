package planning

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/internal/provider/definition"
	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Support fails a plan where the server is too old for a part of it: it would drop that
// part, and the apply would leave an object that is not what was planned. request returns
// what the apply would send.
func Support[Model any](
	ctx context.Context, s *session.Session, response *resource.ModifyPlanResponse,
	report func(Model) problem.Reporter, request func(Model) proto.Message,
) {
	raw, err := definition.Certain(response.Plan.Raw)
	if err != nil {
		response.Diagnostics.AddError("The plan cannot be checked", err.Error())
		return
	}
	var planned Model
	response.Diagnostics.Append((&tfsdk.Plan{Schema: response.Plan.Schema, Raw: raw}).Get(ctx, &planned)...)
	if response.Diagnostics.HasError() {
		return
	}
	if err := s.Supported(ctx, request(planned)); err != nil {
		report(planned).Add(&response.Diagnostics, "plan", err)
	}
}
