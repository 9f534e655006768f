package webhook

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const (
	maxDescription   = 1000
	defaultAlgorithm = "sha256"
	defaultEncoding  = "hex"
)

const description = "An address that a forge or another service sends deliveries to. Deliveries of a forge tell which branches, tags and pull " +
	"requests changed, and all triggers that watch the repository decide on them. A `generic` webhook takes JSON events of any sender for " +
	"`headrace_trigger` resources with a `webhook` block.\n\n" +
	"The path of `url` cannot be guessed and stays the same until the webhook is replaced. The server answers it only if it listens for " +
	"deliveries (`--hooks-listen`); `--public-url` says what `url` begins with.\n\n" +
	"The secret is in neither the plan nor the state: `secret_wo` is a write-only argument, which needs Terraform 1.11 or OpenTofu 1.11. " +
	"Terraform cannot tell whether it changed, so change `secret_wo_version` with it. The previous secret stays valid until `headrace webhook " +
	"retire-secret NAME` or the next change, so that you can update the sender afterwards. If somebody else sets a secret, the next plan " +
	"shows an update that sets the one of the configuration again. The server seals secrets as those of `headrace_secret`.\n\n" +
	"A webhook that a trigger uses cannot be deleted. Refer to the `name` of the resource in triggers, so that Terraform deletes them first."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name: `accounts/{account}/webhooks/{name}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account of the webhook. Defaults to the provider's account. Another value replaces the webhook; if only " +
					"the provider's account changes, the plan is refused.",
			},
			"name": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name, unique in the account: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the webhook.",
			},
			"description": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, maxDescription)},
				MarkdownDescription: "What the webhook is for, up to 1000 characters.",
			},
			"kind": schema.StringAttribute{
				Required:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Sender of the deliveries: `github`, `gitlab`, `gitea` (also Forgejo) or `generic`. A change replaces the " +
					"webhook, and with it `url`.",
			},
			"connection_name": schema.StringAttribute{
				Optional:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Name of the connection whose repositories the deliveries are about. Required, except for a `generic` webhook, " +
					"which has none.",
			},
			"manage": schema.BoolAttribute{
				Optional: true,
				Computed: true,
				Default:  booldefault.StaticBool(false),
				MarkdownDescription: "Whether Headrace registers the hook on the forge, for each repository of the connection that a trigger watches, " +
					"repairs it if somebody changes it, and removes it when no trigger watches the repository. The credentials of the connection must " +
					"allow it. A plan warns of hooks with a problem. Defaults to `false`: register `url` and the secret yourself.",
			},
			"secret_wo": schema.StringAttribute{
				Optional:  true,
				WriteOnly: true,
				MarkdownDescription: "Secret that deliveries are verified with: what the forge signs with, or sends as a token. At least 16 " +
					"characters; for `standard_webhooks` base64 of at least 16 bytes, with or without `whsec_` before it. Required when the webhook is " +
					"created or `secret_wo_version` changes, and not used otherwise. Take it from an ephemeral variable or an ephemeral resource.",
			},
			"secret_wo_version": schema.Int64Attribute{
				Required:            true,
				MarkdownDescription: "Version of `secret_wo`: any number. Change it to apply the current `secret_wo`.",
			},
			"secret_version": schema.Int64Attribute{
				Computed:            true,
				MarkdownDescription: "Number of secrets that the webhook had, counted by the server.",
			},
			"secret_set_time": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "When the newest secret was set, in RFC 3339.",
			},
			"tags": schema.MapAttribute{
				Optional:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "Tags, up to 50: keys of 1 to 128 bytes and values of up to 256. They mean nothing to Headrace.",
			},
			"url": schema.StringAttribute{
				Computed:      true,
				PlanModifiers: []planmodifier.String{stringplanmodifier.UseStateForUnknown()},
				MarkdownDescription: "Address for deliveries. Anyone who has it and the secret can start what the triggers allow. It is the whole URL " +
					"with `--public-url`.",
			},
			"etag": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Changes with every change of the webhook. An apply and a destroy send it back, so that they fail " +
					"rather than overwrite or delete what somebody else changed since the plan.",
			},
		},
		Blocks: map[string]schema.Block{
			"authentication": one("How a delivery to a `generic` webhook proves who sent it: exactly one block. Required for `generic`; forges "+
				"have their own way.", schema.NestedBlockObject{Blocks: map[string]schema.Block{
				"hmac": one("Keyed hash of the body in a header.", schema.NestedBlockObject{Attributes: map[string]schema.Attribute{
					"header": schema.StringAttribute{
						Required:            true,
						Validators:          []validator.String{stringvalidator.LengthBetween(1, 200)},
						MarkdownDescription: "Name of the header, such as `X-Signature-256`.",
					},
					"algorithm": word(defaultAlgorithm, "Hash: `sha256` or `sha512`.", "sha256", "sha512"),
					"prefix": schema.StringAttribute{
						Optional:            true,
						Validators:          []validator.String{stringvalidator.LengthBetween(1, 100)},
						MarkdownDescription: "What comes before the hash in the header, such as `sha256=`.",
					},
					"encoding": word(defaultEncoding, "Encoding of the hash: `hex` or `base64`.", "hex", "base64"),
				}}),
				"standard_webhooks": one("Signature of [Standard Webhooks](https://www.standardwebhooks.com): `webhook-id`, `webhook-timestamp` and "+
					"`webhook-signature`. It protects against old deliveries that somebody sends again.", schema.NestedBlockObject{}),
				"bearer": one("The secret in the header `Authorization: Bearer`. Anyone who reads a request can send another one, so prefer a "+
					"signature.", schema.NestedBlockObject{}),
			}}),
		},
	}
}

func one(text string, of schema.NestedBlockObject) schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: text + " At most one.",
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
		NestedObject:        of,
	}
}

func word(usual, text string, words ...string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Computed:            true,
		Default:             stringdefault.StaticString(usual),
		Validators:          []validator.String{stringvalidator.OneOf(words...)},
		MarkdownDescription: text + " Defaults to `" + usual + "`.",
	}
}

// IdentitySchema returns what names a webhook for good.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account": identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the webhook. Defaults to the provider's account."},
		"name":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the webhook."},
	}}
}
