// Package address reads the ids that people type to import an object. It knows
// the forms of names, not the objects.
package address

import (
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// Part is one step of the way to an object.
type Part struct {
	// Collection is its name in resource names, as in "stages".
	Collection string
	// Attribute is its name in the resource's identity, as in "stage".
	Attribute string
}

// FromImport returns the account and the names of the object to import, one for
// each part, from the id or the identity that the user gave. Without an account
// the object is in the given one.
func FromImport(
	ctx context.Context, request resource.ImportStateRequest, account types.String, parts ...Part,
) (string, []string, diag.Diagnostics) {
	var diags diag.Diagnostics
	if request.ID != "" {
		collections := make([]string, 0, len(parts))
		for _, part := range parts {
			collections = append(collections, part.Collection)
		}
		found, names, err := Parse(request.ID, account, collections...)
		if err != nil {
			diags.AddError("Cannot import", err.Error())
		}
		return found, names, diags
	}
	if request.Identity == nil {
		diags.AddError("Cannot import", "The import names neither an id nor an identity.")
		return "", nil, diags
	}
	var named types.String
	diags.Append(request.Identity.GetAttribute(ctx, path.Root("account"), &named)...)
	if named.IsNull() {
		named = account
	}
	if named.IsNull() || named.IsUnknown() {
		diags.AddAttributeError(path.Root("account"), "Cannot import",
			"The identity names no account and the provider's is not known yet: name the account.")
	}
	names := make([]string, 0, len(parts))
	for _, part := range parts {
		var name types.String
		diags.Append(request.Identity.GetAttribute(ctx, path.Root(part.Attribute), &name)...)
		names = append(names, name.ValueString())
	}
	return named.ValueString(), names, diags
}

// Parse reads an id of an object that lies in the given collections, outermost
// first, as in "pipelines", "stages". Three forms are right: the names alone
// (web/Build), the names after an account (dev/web/Build) and the resource name
// (accounts/dev/pipelines/web/stages/Build). An id without an account is in
// account, which must then be known. It returns the account and one name for
// each collection.
func Parse(id string, account types.String, collections ...string) (string, []string, error) {
	segments := strings.Split(id, "/")
	for _, segment := range segments {
		if segment == "" {
			return "", nil, wrong(id, collections)
		}
	}
	switch len(segments) {
	case len(collections):
		if account.IsNull() || account.IsUnknown() {
			return "", nil, fmt.Errorf("%q names no account and the provider's is not known yet: write ACCOUNT/%s", id, id)
		}
		return account.ValueString(), segments, nil
	case 1 + len(collections):
		return segments[0], segments[1:], nil
	case 2 + 2*len(collections):
		if segments[0] != "accounts" {
			return "", nil, wrong(id, collections)
		}
		names := make([]string, 0, len(collections))
		for i, collection := range collections {
			if segments[2+2*i] != collection {
				return "", nil, wrong(id, collections)
			}
			names = append(names, segments[3+2*i])
		}
		return segments[1], names, nil
	}
	return "", nil, wrong(id, collections)
}

func wrong(id string, collections []string) error {
	var short []string
	full := "accounts/ACCOUNT"
	for _, collection := range collections {
		name := strings.ToUpper(strings.TrimSuffix(collection, "s"))
		if collection == "approvalRules" {
			name = "RULE"
		}
		short = append(short, name)
		full += "/" + collection + "/" + name
	}
	names := strings.Join(short, "/")
	return fmt.Errorf("%q is not a valid id of such an object: write %s, ACCOUNT/%s or %s", id, names, names, full)
}
