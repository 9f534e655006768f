package connection

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const maxDescription = 1000

// The usual endpoints.
const (
	defaultGitHub = "https://github.com"
	defaultGitLab = "https://gitlab.com"
)

// defaultEndpoint returns the endpoint of a type that none is written for.
func defaultEndpoint(block string) string {
	switch block {
	case "github_app", "github_token":
		return defaultGitHub
	case "gitlab":
		return defaultGitLab
	default:
		return ""
	}
}

const description = "Connects an account to a forge or a git server: GitHub, GitLab, Gitea, Forgejo, or any server that git reads over HTTPS or " +
	"SSH. Source actions clone through it, and triggers and webhooks belong to it. Exactly one block says what it reaches. Only an admin " +
	"may write connections.\n\n" +
	"Credentials are in neither the plan nor the state, and nobody can read them again: they are write-only arguments, which need Terraform " +
	"1.11 or OpenTofu 1.11. Terraform cannot tell whether one changed, so change its `_wo_version` with it. If somebody else sets a credential, " +
	"the next plan shows an update that sets the one of the configuration again. A credential is only sent to the host that it was set for: " +
	"if the block or the host of an endpoint changes, the apply sets all credentials of the configuration again.\n\n" +
	"`headrace connection doctor NAME --repository R` checks a connection and names the permissions that are missing. The permissions that " +
	"Headrace uses are listed under Connections in the operations manual."

// Schema returns the arguments.
func (r *Resource) Schema(_ context.Context, _ resource.SchemaRequest, response *resource.SchemaResponse) {
	response.Schema = schema.Schema{
		MarkdownDescription: description,
		Attributes: map[string]schema.Attribute{
			"id": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "Resource name: `accounts/{account}/connections/{name}`.",
			},
			"account": schema.StringAttribute{
				Optional:   true,
				Computed:   true,
				Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Account of the connection. Defaults to the provider's account. Another value replaces the connection; if only " +
					"the provider's account changes, the plan is refused.",
			},
			"name": schema.StringAttribute{
				Required:            true,
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
				MarkdownDescription: "Name, unique in the account: 1 to 100 of `A-Z a-z 0-9 . @ _ -`. A change replaces the connection.",
			},
			"description": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.UTF8LengthBetween(1, maxDescription)},
				MarkdownDescription: "What the connection is for, up to 1000 characters.",
			},
			"ca_certificate": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
				MarkdownDescription: "Certificates in PEM that are trusted for HTTPS beside those of the server's system.",
			},
			"allowed_hosts": schema.SetAttribute{
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Set{setvalidator.NoNullValues()},
				MarkdownDescription: "Hosts that submodules and LFS objects may come from, as `HOST` or `HOST:PORT`, up to 100. The hosts of the " +
					"endpoints are always allowed. No credential is sent to the others.",
			},
			"arn": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "What `ConnectionArn` of a `CodeStarSourceConnection` action takes: " +
					"`arn:headrace:connections::ACCOUNT:connection/NAME`.",
			},
			"credential_set_times": schema.MapAttribute{
				Computed:    true,
				ElementType: types.StringType,
				MarkdownDescription: "When each credential was set, in RFC 3339, by its name: `token`, `app_private_key`, `password` or " +
					"`ssh_private_key`.",
			},
			"credential_fingerprints": schema.MapAttribute{
				Computed:    true,
				ElementType: types.StringType,
				MarkdownDescription: "Fingerprints of the public keys of the private keys, by the name of the credential: `SHA256:` and base64, as " +
					"GitHub shows it for the key of an App and `ssh-keygen -l` for a key of SSH.",
			},
			"etag": schema.StringAttribute{
				Computed: true,
				MarkdownDescription: "Changes with every change of the connection. An apply and a destroy send it back, so that they fail " +
					"rather than overwrite or delete what somebody else changed since the plan.",
			},
		},
		Blocks: map[string]schema.Block{
			"github_app": typeBlock("An installation of a GitHub App. Headrace gets short-lived tokens that are narrowed to one repository.",
				map[string]schema.Attribute{
					"endpoint": endpoint(defaultGitHub, "Address of GitHub or of a GitHub Enterprise server, without a path."),
					"app_id": schema.StringAttribute{
						Required:            true,
						MarkdownDescription: "Client id of the App, or its app id.",
					},
					"installation_id": schema.Int64Attribute{
						Required:   true,
						Validators: []validator.Int64{int64validator.AtLeast(1)},
						MarkdownDescription: "Installation on the organization or user that owns the repositories: the number at the end of the " +
							"address of its settings.",
					},
					"private_key_wo":         secretArgument("private_key_wo", "Private key of the App in PEM, as GitHub made it."),
					"private_key_wo_version": version("private_key_wo", true),
				}, nil),
			"github_token": typeBlock("A personal access token of GitHub, classic or fine-grained.", forgeAttributes(endpoint(defaultGitHub,
				"Address of GitHub or of a GitHub Enterprise server, without a path."), "Personal access token."), ssh()),
			"gitlab": typeBlock("A personal, project or group access token of GitLab.", forgeAttributes(endpoint(defaultGitLab,
				"Address of GitLab."), "Personal, project or group access token."), ssh()),
			"gitea": typeBlock("An access token of Gitea or Forgejo.", forgeAttributes(schema.StringAttribute{
				Required:            true,
				MarkdownDescription: "Address of the server.",
			}, "Access token."), ssh()),
			"git": typeBlock("A git server without an API that Headrace uses. Triggers find changes by polling.", map[string]schema.Attribute{
				"endpoint": schema.StringAttribute{
					Required: true,
					MarkdownDescription: "What the addresses of the repositories begin with: `https://HOST/PATH` or `ssh://USER@HOST:PORT/PATH`. " +
						"Repositories are named by the path below it.",
				},
				"username": schema.StringAttribute{
					Optional:            true,
					Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
					MarkdownDescription: "User of an endpoint with `https`. If not set, no password is sent.",
				},
				"password_wo":         secretArgument("password_wo", "Password or token of `username`."),
				"password_wo_version": version("password_wo", false),
				"known_hosts": schema.StringAttribute{
					Optional:   true,
					Validators: []validator.String{stringvalidator.LengthAtLeast(1)},
					MarkdownDescription: "Keys of the server with an `ssh` endpoint, as lines of a known_hosts file. Required with `ssh`: no other " +
						"key is accepted.",
				},
				"private_key_wo":         secretArgument("private_key_wo", "Private key of SSH without a passphrase, for an `ssh` endpoint."),
				"private_key_wo_version": version("private_key_wo", false),
			}, nil),
		},
	}
}

// typeBlock is the block of one type.
func typeBlock(text string, attributes map[string]schema.Attribute, blocks map[string]schema.Block) schema.Block {
	return schema.ListNestedBlock{
		MarkdownDescription: text + " At most one.",
		Validators:          []validator.List{listvalidator.SizeAtMost(1)},
		NestedObject:        schema.NestedBlockObject{Attributes: attributes, Blocks: blocks},
	}
}

func forgeAttributes(endpoint schema.StringAttribute, token string) map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"endpoint":         endpoint,
		"token_wo":         secretArgument("token_wo", token),
		"token_wo_version": version("token_wo", true),
	}
}

func endpoint(usual, text string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:            true,
		Computed:            true,
		Default:             stringdefault.StaticString(usual),
		MarkdownDescription: text + " Defaults to `" + usual + "`.",
	}
}

// ssh is the block that makes git clone over SSH.
func ssh() map[string]schema.Block {
	return map[string]schema.Block{"ssh": typeBlock("Clones repositories over SSH by a key, instead of over HTTPS by the token.", map[string]schema.Attribute{
		"endpoint": schema.StringAttribute{
			Optional:            true,
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			MarkdownDescription: "`ssh://USER@HOST:PORT`. Defaults to `ssh://git@HOST` with the host of the forge.",
		},
		"known_hosts": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Keys of the SSH server, as lines of a known_hosts file. No other key is accepted.",
		},
		"private_key_wo":         secretArgument("private_key_wo", "Private key of SSH without a passphrase."),
		"private_key_wo_version": version("private_key_wo", true),
	}, nil)}
}

// secretArgument is a write-only argument, which needs a version.
func secretArgument(name, text string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional:   true,
		WriteOnly:  true,
		Validators: []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName(name + "_version"))},
		MarkdownDescription: text + " Required when the connection is created, or `" + name + "_version`, the block or the host of an endpoint " +
			"changes, and not used otherwise. Take it from an ephemeral variable or an ephemeral resource.",
	}
}

func version(of string, required bool) schema.Int64Attribute {
	return schema.Int64Attribute{
		Required: required, Optional: !required,
		MarkdownDescription: "Version of `" + of + "`: any number. Change it to apply the current `" + of + "`.",
	}
}

// IdentitySchema returns what names a connection.
func (r *Resource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, response *resource.IdentitySchemaResponse,
) {
	response.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"account": identityschema.StringAttribute{OptionalForImport: true, Description: "Account of the connection. Defaults to the provider's account."},
		"name":    identityschema.StringAttribute{RequiredForImport: true, Description: "Name of the connection."},
	}}
}
