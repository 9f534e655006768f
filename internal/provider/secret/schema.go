package secret

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

const maxDescription = 1000

const description = "Keeps a secret value that actions get by its name, for example in an `environment_variable` with `type = \"SECRET\"`. " +
	"Nobody can read the value again, neither through Terraform nor through the API.\n\n" +
	"The value is in neither the plan nor the state: `value_wo` is a write-only argument, which needs Terraform 1.11 or OpenTofu 1.11. " +
	"Terraform cannot tell whether it changed, so change `value_wo_version` with it. If somebody else sets a new value, the " +
	"next plan shows an update that sets the value of the configuration again.\n\n" +
	"A secret that the newest version of a pipeline uses cannot be deleted. Refer to the `name` of the resource in pipelines, so that " +
	"Terraform deletes them first.\n\n" +
	"The server seals values with its `storage-key`. A server on SQLite without one creates a key file in its data directory; a server " +
	"on PostgreSQL needs `storage-key`."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name: `accounts/{account}/secrets/{name}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account of the secret. Defaults to the provider's account. Another value replaces the secret; if only " +
					"the provider's account changes, the plan is refused.",
			},
			"name": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name, unique in the account: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the secret.",
			},
			"description": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, maxDescription)},
				MarkdownDescription: "What the secret is for, up to 1000 characters.",
			},
			"value_wo": schema.StringAttribute{
				Optional:  true,
				WriteOnly: true,
				MarkdownDescription: "Value, 1 byte to 64 KiB without NUL bytes. Required when the secret is created or `value_wo_version` " +
					"changes, and not used otherwise. Take it from an ephemeral variable or an ephemeral resource.",
			},
			"value_wo_version": schema.Int64Attribute{
				Required:            true,
				MarkdownDescription: "Version of `value_wo`: any number. Change it to apply the current `value_wo`.",
			},
			"version": schema.Int64Attribute{
				Computed:            true,
				MarkdownDescription: "Number of values that the secret had, counted by the server.",
			},
			"value_set_time": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "When the value was set, in RFC 3339.",
			},
			"etag": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Changes with every change of the secret. An apply and a destroy send it back, so that they fail " +
					"rather than overwrite or delete what somebody else changed since the plan.",
			},
		},
	}
}

// IdentitySchema returns what names a secret for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account": identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the secret; the provider's where left out."},
		"name":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the secret."},
	}}
}
