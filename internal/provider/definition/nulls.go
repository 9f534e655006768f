package definition

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/types"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// nullsAreAbsent keeps the map of the state where the configuration says the same: an
// entry that is null counts as absent, and the reference of a secret value as the value, so
// an imported pipeline plans no change.
type nullsAreAbsent struct{}

// Description implements planmodifier.Map.
func (nullsAreAbsent) Description(context.Context) string {
	return "A null entry counts as absent."
}

// MarkdownDescription implements planmodifier.Map.
func (m nullsAreAbsent) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

// PlanModifyMap implements planmodifier.Map.
func (nullsAreAbsent) PlanModifyMap(_ context.Context, request planmodifier.MapRequest, response *planmodifier.MapResponse) {
	// Terraform takes the value of the state only beside one in the configuration.
	if request.StateValue.IsNull() || request.PlanValue.IsNull() || request.PlanValue.IsUnknown() {
		return
	}
	before, planned := present(request.StateValue.Elements()), present(request.PlanValue.Elements())
	if len(before) != len(planned) {
		return
	}
	for key, value := range planned {
		if was, given := before[key]; !given || !was.Equal(value) && !sealed(was, value) {
			return
		}
	}
	response.PlanValue = request.StateValue
}

// sealed tells whether the state holds the reference of a secret value, as after an import, and
// the plan the value itself.
func sealed(was, planned attr.Value) bool {
	reference, isText := was.(types.String)
	value, isValue := planned.(types.String)
	return isText && isValue && !value.IsUnknown() && domain.SealedIs(reference.ValueString(), value.ValueString())
}

// present returns the entries that are not null.
func present(entries map[string]attr.Value) map[string]attr.Value {
	given := make(map[string]attr.Value, len(entries))
	for key, value := range entries {
		if !value.IsNull() {
			given[key] = value
		}
	}
	return given
}
