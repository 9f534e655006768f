package definition

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// ruleOwnerAWS owns the rules of an aws_codepipeline.
const ruleOwnerAWS = "AWS"

// importedOwner keeps the owner that an import wrote where the configuration has another one:
// the server stores no owner, so the next plan would change nothing but the state.
type importedOwner struct{}

// Description implements planmodifier.Describer.
func (importedOwner) Description(context.Context) string {
	return "The owner of an imported rule is not compared with the configuration."
}

// MarkdownDescription implements planmodifier.Describer.
func (m importedOwner) MarkdownDescription(ctx context.Context) string { return m.Description(ctx) }

// PlanModifyString implements planmodifier.String.
func (importedOwner) PlanModifyString(_ context.Context, request planmodifier.StringRequest, response *planmodifier.StringResponse) {
	// Terraform takes the value of the state only beside one in the configuration.
	if request.ConfigValue.IsNull() || request.PlanValue.IsUnknown() || request.StateValue.ValueString() != ruleOwner {
		return
	}
	response.PlanValue = request.StateValue
}

// ownsRule refuses another owner for a rule that the provider knows. The server is not told
// the owner, so it would run the rule of Headrace instead of the one that was meant.
type ownsRule struct{}

// Description implements validator.Describer.
func (ownsRule) Description(context.Context) string {
	return "the owner of a rule type that the provider knows is Headrace or AWS"
}

// MarkdownDescription implements validator.Describer.
func (v ownsRule) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

// ValidateString implements validator.String.
func (ownsRule) ValidateString(ctx context.Context, request validator.StringRequest, response *validator.StringResponse) {
	owner := request.ConfigValue
	if owner.IsNull() || owner.IsUnknown() || owner.ValueString() == ruleOwner || owner.ValueString() == ruleOwnerAWS {
		return
	}
	var provider types.String
	if request.Config.GetAttribute(ctx, request.Path.ParentPath().AtName("provider"), &provider).HasError() {
		return
	}
	for _, rule := range catalog.Builtin().Rules() {
		if rule.ID.Provider == provider.ValueString() {
			response.Diagnostics.AddAttributeError(request.Path, "The definition breaks a rule", fmt.Sprintf(
				"rule type %s has no owner %q; use %q or %q, or remove owner", rule.ID.Provider, owner.ValueString(), ruleOwner, ruleOwnerAWS))
			return
		}
	}
}
