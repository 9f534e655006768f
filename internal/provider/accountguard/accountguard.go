// Package accountguard keeps objects in the account that their configuration means. It
// stands in front of every resource and data source. It must never call the backend.
//
// An object whose configuration names no account is in the provider's account. If that
// moves, because an environment variable is missing or a workspace is another one, nothing
// in the configuration of the object says that it is to move along: plan, apply and destroy
// are refused. The provider's allowed_accounts are checked here too, before any call.
package accountguard

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/internal/provider/problem"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// Managed is what every resource of the provider implements. All of its methods reach the
// resource through the guard; other optional interfaces of the framework would not.
type Managed interface {
	resource.ResourceWithConfigure
	resource.ResourceWithIdentity
	resource.ResourceWithImportState
	resource.ResourceWithModifyPlan
	resource.ResourceWithValidateConfig
}

// Resource returns a guarded resource. It has the arguments account and id.
func Resource(managed Managed) resource.Resource {
	return &guarded{Managed: managed}
}

type guarded struct {
	Managed
	session *session.Session
}

// Configure takes what the provider hands out.
func (g *guarded) Configure(
	ctx context.Context, request resource.ConfigureRequest, response *resource.ConfigureResponse,
) {
	g.session = session.FromResource(request, response)
	g.Managed.Configure(ctx, request, response)
}

// ModifyPlan refuses a plan that would move an object because the provider's account moved.
func (g *guarded) ModifyPlan(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse,
) {
	if request.Plan.Raw.IsNull() {
		g.planDelete(ctx, request.State, response.Private, &response.Diagnostics)
		if !response.Diagnostics.HasError() {
			g.Managed.ModifyPlan(ctx, request, response)
		}
		return
	}
	configured := argument(ctx, request.Config, &response.Diagnostics)
	g.checkAllowed(g.session.Account(configured), &response.Diagnostics)
	if !request.State.Raw.IsNull() {
		g.checkExisting(ctx, request.State, configured, &response.Diagnostics)
	}
	if response.Diagnostics.HasError() {
		return
	}
	g.Managed.ModifyPlan(ctx, request, response)
	note(ctx, response.Private, record{Origin: originOf(configured)}, &response.Diagnostics)
}

// Create creates the object and records where its account came from. An apply plans once
// more before it creates or updates, so ModifyPlan has checked what was configured.
func (g *guarded) Create(ctx context.Context, request resource.CreateRequest, response *resource.CreateResponse) {
	g.Managed.Create(ctx, request, response)
	note(ctx, response.Private, record{Origin: originOf(argument(ctx, request.Config, &response.Diagnostics))}, &response.Diagnostics)
}

// Read reads the object in the account that the state has it in, whatever the provider's
// account is.
func (g *guarded) Read(ctx context.Context, request resource.ReadRequest, response *resource.ReadResponse) {
	g.checkAllowed(argument(ctx, request.State, &response.Diagnostics), &response.Diagnostics)
	if response.Diagnostics.HasError() {
		return
	}
	g.session.NoteRefresh(id(ctx, request.State))
	g.Managed.Read(ctx, request, response)
	g.noteRefresh(ctx, request.State, request.Private, response.Private, &response.Diagnostics)
}

// Delete refuses to delete an object if the provider's account moved.
func (g *guarded) Delete(ctx context.Context, request resource.DeleteRequest, response *resource.DeleteResponse) {
	g.checkAllowed(argument(ctx, request.State, &response.Diagnostics), &response.Diagnostics)
	if known := recorded(ctx, request.Private); known.Approved == "" || known.Approved != g.provider() {
		g.checkDelete(ctx, request.State, known, &response.Diagnostics)
	}
	if response.Diagnostics.HasError() {
		return
	}
	g.Managed.Delete(ctx, request, response)
}

// ImportState refuses an object outside of the allowed accounts.
func (g *guarded) ImportState(
	ctx context.Context, request resource.ImportStateRequest, response *resource.ImportStateResponse,
) {
	g.Managed.ImportState(ctx, request, response)
	if !response.Diagnostics.HasError() {
		g.checkAllowed(argument(ctx, response.State, &response.Diagnostics), &response.Diagnostics)
	}
}

const (
	notAllowed = "The account is not allowed"
	summary    = "The provider's account is not the account of this object"
	// where says where the provider's account can be set.
	where = "account in the provider block, or HEADRACE_ACCOUNT"
)

// provider returns the provider's account, empty while it is not known.
func (g *guarded) provider() string {
	return g.session.Account(types.StringNull()).ValueString()
}

// now says what the provider's account is.
func (g *guarded) now() string {
	return fmt.Sprintf("The provider's account is %q now, from %s.", g.provider(), g.session.AccountSource())
}

// moved tells whether the provider's account is known and another one.
func (g *guarded) moved(account types.String) bool {
	provider := g.session.Account(types.StringNull())
	return !provider.IsUnknown() && !account.IsUnknown() && !account.IsNull() && !provider.Equal(account)
}

// checkExisting refuses to plan for an object that is in another account than the
// provider's, unless its configuration names an account itself.
func (g *guarded) checkExisting(ctx context.Context, state tfsdk.State, configured types.String, diags *diag.Diagnostics) {
	before := argument(ctx, state, diags)
	g.checkAllowed(before, diags)
	if !configured.IsNull() || !g.moved(before) {
		return
	}
	from, to := before.ValueString(), g.provider()
	diags.AddAttributeError(path.Root("account"), summary, fmt.Sprintf("%s is in account %q and its configuration sets no account. %s "+
		"Nothing is planned, so that nothing in %q is destroyed.\n\n"+
		"To keep it in %q, set the provider's account to %q again (%s), or set account = %q on the resource.\n"+
		"To move it to %q, set account = %q on the resource. The plan then replaces it, which deletes it in %q with its history.",
		id(ctx, state), from, g.now(), from, from, from, where, from, to, to, from))
}

// planDelete refuses to plan to delete an object as checkDelete does, unless a plan that had
// the configuration passed in the same run of Terraform. Before it plans to destroy
// everything, Terraform refreshes and plans as usual, in a session of its own. That plan has
// the last word: the configuration may name the account since the object was recorded. An
// object whose configuration was removed is refreshed and planned to be deleted in one session.
func (g *guarded) planDelete(ctx context.Context, state tfsdk.State, private private, diags *diag.Diagnostics) {
	g.checkAllowed(argument(ctx, state, diags), diags)
	known := recorded(ctx, private)
	if seen := known.Seen; seen != nil && seen.Run == run() && seen.Provider == g.provider() && !g.session.Refreshed(id(ctx, state)) {
		known.Approved = g.provider()
		note(ctx, private, known, diags)
		return
	}
	g.checkDelete(ctx, state, known, diags)
}

// checkDelete refuses to delete an object that took its account from the provider, or may
// have, if the provider's account is another one now. Terraform does not say what the
// configuration is or was, so this rests on what earlier plans and applies recorded.
func (g *guarded) checkDelete(ctx context.Context, state tfsdk.State, known record, diags *diag.Diagnostics) {
	account := argument(ctx, state, diags)
	if !g.moved(account) {
		return
	}
	var why string
	switch known.Origin {
	case fromProvider:
		why = ", which it took from the provider."
	case fromImport:
		why = ". Whether its configuration set account is not recorded, since it was imported or last written by an older provider."
	default:
		return
	}
	name, from := id(ctx, state), account.ValueString()
	diags.AddError(summary, fmt.Sprintf("%s is in account %q%s %s Nothing was deleted.\n\n"+
		"To delete it, set the provider's account to %q again (%s), or keep the resource in the configuration with account = %q "+
		"and run terraform destroy -target for it.",
		name, from, why, g.now(), from, where, from))
}

func (g *guarded) checkAllowed(account types.String, diags *diag.Diagnostics) {
	if err := g.session.CheckAllowed(account); err != nil {
		diags.AddAttributeError(path.Root("account"), notAllowed, problem.Sentence(err.Error()))
	}
}

// attributed is a configuration, a plan or a state.
type attributed interface {
	GetAttribute(ctx context.Context, at path.Path, target any) diag.Diagnostics
}

// argument returns the account of a configuration, a plan or a state.
func argument(ctx context.Context, of attributed, diags *diag.Diagnostics) types.String {
	var account types.String
	diags.Append(of.GetAttribute(ctx, path.Root("account"), &account)...)
	return account
}

func id(ctx context.Context, state tfsdk.State) string {
	var name types.String
	if state.GetAttribute(ctx, path.Root("id"), &name).HasError() {
		return ""
	}
	return name.ValueString()
}

// private is what Terraform keeps for the provider with the state of an object.
type private interface {
	GetKey(ctx context.Context, key string) ([]byte, diag.Diagnostics)
	SetKey(ctx context.Context, key string, value []byte) diag.Diagnostics
}

// origin says where the account of an object came from.
type origin string

const (
	fromProvider origin = "provider"
	fromResource origin = "resource"
	// fromImport is of an object that was imported from the provider's account. The
	// provider or the resource may name it.
	fromImport origin = "import"
)

func originOf(configured types.String) origin {
	if configured.IsNull() {
		return fromProvider
	}
	return fromResource
}

// record is what is kept with the state.
type record struct {
	// Origin is where the account came from when the object was last written. It is empty
	// for one that was only imported, from another account than the provider's.
	Origin origin `json:"origin,omitempty"`
	// Seen is kept by a refresh that finds the object in another account than the provider's.
	Seen *sighting `json:"seen,omitempty"`
	// Approved is the provider's account with which a delete was planned although the object
	// is in another one. It is in plans only.
	Approved string `json:"approved,omitempty"`
}

// sighting is a refresh. It moves nothing: only the plan that may follow in the same run of
// Terraform has the configuration.
type sighting struct {
	// Provider is the provider's account.
	Provider string `json:"provider"`
	// Run is the run of Terraform.
	Run string `json:"run"`
}

const recordKey = "account"

func recorded(ctx context.Context, private private) record {
	var found record
	if value, diags := private.GetKey(ctx, recordKey); !diags.HasError() && value != nil {
		// What cannot be read is like an object that was imported.
		_ = json.Unmarshal(value, &found)
	}
	return found
}

// noteRefresh keeps the record of an object that is refreshed. Where the account came from
// stays as it is.
func (g *guarded) noteRefresh(ctx context.Context, state tfsdk.State, before, after private, diags *diag.Diagnostics) {
	account, known := argument(ctx, state, diags), record{Origin: recorded(ctx, before).Origin}
	switch {
	case g.moved(account):
		known.Seen = &sighting{Provider: g.provider(), Run: run()}
	case known.Origin == "" && account.Equal(g.session.Account(types.StringNull())):
		// Imported, or in the state of an older provider.
		known.Origin = fromImport
	}
	note(ctx, after, known, diags)
}

func note(ctx context.Context, private private, known record, diags *diag.Diagnostics) {
	value, err := json.Marshal(known)
	if err != nil {
		diags.AddError("The origin of the account cannot be recorded", err.Error())
		return
	}
	diags.Append(private.SetKey(ctx, recordKey, value)...)
}

var _ Managed = (*guarded)(nil)
