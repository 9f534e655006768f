// Package session holds what the configured provider hands to its resources and
// data sources: the client and the account that they work in by default. It
// calls the backend only to find out what it supports.
package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ErrUndecided means that the provider's configuration depends on values that
// are known only after an apply, such as the address of a server that the same
// apply creates.
var ErrUndecided = errors.New("the provider's configuration depends on values that are known only after an apply: " +
	"apply what they come from first, or let what reads from Headrace depend on it")

// Config is what a session is made of.
type Config struct {
	// Client is nil if the provider's configuration is not known yet.
	Client *client.Client
	// Account is the default account; unknown if it is not known yet.
	Account types.String
	// AccountSource says for messages where the default account was set.
	AccountSource string
	// AllowedAccounts are the accounts that may be used. Nil allows all.
	AllowedAccounts []string
}

// Session is what the configured provider hands out.
type Session struct {
	config    Config
	id        string
	refreshed sync.Map
	// silent tells that the server did not say what it supports.
	silent atomic.Bool
	notes  notes
	listed listings
}

// supportTimeout is how long a plan waits to hear what the server supports.
const supportTimeout = 5 * time.Second

// New returns a session.
func New(config Config) *Session {
	return &Session{config: config, id: uuid.NewString()}
}

// Client returns the client, or ErrUndecided.
func (s *Session) Client() (*client.Client, error) {
	if s == nil || s.config.Client == nil {
		return nil, ErrUndecided
	}
	return s.config.Client, nil
}

// Supported returns the error that a call with the request would fail with since the
// server is too old for what is in it. A plan needs no server: one that does not answer
// is not asked again, and the client checks once more before it sends.
func (s *Session) Supported(ctx context.Context, request proto.Message) error {
	if s == nil || s.config.Client == nil || s.silent.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, supportTimeout)
	defer cancel()
	err := s.config.Client.Supported(ctx, request)
	if err != nil && client.Reason(err) != domain.ReasonServerTooOld {
		s.silent.Store(true)
		return nil
	}
	return err
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
	return s.config.Account
}

// AccountSource says where the default account was set.
func (s *Session) AccountSource() string {
	return s.config.AccountSource
}

// CheckAllowed refuses an account that is not one of the allowed accounts. One that is not
// known yet passes until it is.
func (s *Session) CheckAllowed(account types.String) error {
	if s == nil || s.config.AllowedAccounts == nil || account.IsNull() || account.IsUnknown() ||
		slices.Contains(s.config.AllowedAccounts, account.ValueString()) {
		return nil
	}
	return fmt.Errorf("account %q is not one of the provider's allowed_accounts: %s",
		account.ValueString(), strings.Join(s.config.AllowedAccounts, ", "))
}

// RequestID returns a fresh request id for a create that the caller confirms by a read.
// Creates of one session are different ones to the server, however equal they are.
func (s *Session) RequestID() string {
	return s.id + "/" + uuid.NewString()
}

// NoteRefresh remembers that an object was refreshed in this session.
func (s *Session) NoteRefresh(id string) {
	if s != nil {
		s.refreshed.Store(id, true)
	}
}

// Refreshed reports whether the object was refreshed in this session.
func (s *Session) Refreshed(id string) bool {
	if s == nil {
		return false
	}
	_, found := s.refreshed.Load(id)
	return found
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
		return s.config.Account
	}
	return planned
}
