// Package session holds what the configured provider hands to its resources and
// data sources: the client and the account that they work in by default. It
// never calls the backend itself.
package session

import (
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/headrace/terraform-provider-headrace/backend/client"
)

// ErrUndecided means that the provider's configuration depends on values that
// are known only after an apply, such as the address of a server that the same
// apply creates.
var ErrUndecided = errors.New("the provider's configuration depends on values that are known only after an apply: " +
	"apply what they come from first, or let what reads from Headrace depend on it")

// Session is what the configured provider hands out.
type Session struct {
	client *client.Client
	// account is the default account; unknown where it is not known yet.
	account types.String
}

// New returns a session. The client is nil where the provider's configuration
// is not known yet.
func New(c *client.Client, account types.String) *Session {
	return &Session{client: c, account: account}
}

// Client returns the client, or ErrUndecided.
func (s *Session) Client() (*client.Client, error) {
	if s == nil || s.client == nil {
		return nil, ErrUndecided
	}
	return s.client, nil
}

// Account returns the account that a configuration means: the one it names, or
// the provider's. It is unknown where that is not known yet.
func (s *Session) Account(configured types.String) types.String {
	if !configured.IsNull() {
		return configured
	}
	if s == nil {
		return types.StringUnknown()
	}
	return s.account
}

// FromResource returns the session of a resource, nil before the provider is
// configured.
func FromResource(request resource.ConfigureRequest, response *resource.ConfigureResponse) *Session {
	return from(request.ProviderData, &response.Diagnostics)
}

// FromDataSource returns the session of a data source, nil before the provider
// is configured.
func FromDataSource(request datasource.ConfigureRequest, response *datasource.ConfigureResponse) *Session {
	return from(request.ProviderData, &response.Diagnostics)
}

func from(data any, diags *diag.Diagnostics) *Session {
	if data == nil {
		return nil
	}
	session, ok := data.(*Session)
	if !ok {
		diags.AddError("The provider is wired wrongly",
			fmt.Sprintf("It handed out a %T where a session was expected. This is a bug of the provider: please report it.", data))
		return nil
	}
	return session
}

// Settled returns the account of an object that is about to be created: the
// planned one, or the provider's where the plan could not know it.
func (s *Session) Settled(planned types.String) types.String {
	if planned.IsUnknown() || planned.IsNull() {
		return s.account
	}
	return planned
}
