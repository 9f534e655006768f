package action

import (
	"context"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
)

// Credentials hands out what an action authenticates with. It belongs to one attempt or turn
// and to the account of that, and hides in the log whatever it has handed out.
type Credentials interface {
	// Git returns a repository of a connection of the account, with the credentials for it.
	// Connection is what the action's configuration says: a name, a resource name or an ARN.
	// Repository is a path such as acme/web, or an address on the host of the connection.
	// The error is a *CredentialsError if the action is to fail with its code.
	Git(ctx context.Context, connection, repository string) (gitauth.Remote, error)
	// Open returns a secret value of the action's configuration, which is stored sealed. See
	// pipeline.Sealed.
	Open(ctx context.Context, sealed string) (string, error)
}

// CredentialsError says why credentials cannot be handed out, as a failure of the action.
type CredentialsError struct {
	Code FailureCode
	Err  error
}

// Error implements error.
func (e *CredentialsError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *CredentialsError) Unwrap() error { return e.Err }

// CredentialsFailure returns the failure of an action that cannot get its credentials. An
// error that is no CredentialsError may pass with a later try.
func CredentialsFailure(err error) Result {
	var refused *CredentialsError
	if errors.As(err, &refused) {
		return Failed(refused.Code, "%v", refused.Err)
	}
	return Failed(SystemUnavailable, "%v", err)
}

// CredentialsOf returns the credentials of one attempt or turn.
type CredentialsOf func(of Scope) Credentials

// Hide returns credentials that call hide with the secrets of what they hand out, before they
// do. A nil CredentialsOf hands out nothing.
func (f CredentialsOf) Hide(of Scope, hide func(secrets ...string)) Credentials {
	if f == nil {
		return noCredentials{}
	}
	return hiding{of: f(of), hide: hide}
}

type hiding struct {
	of   Credentials
	hide func(secrets ...string)
}

// Git implements Credentials.
func (h hiding) Git(ctx context.Context, connection, repository string) (gitauth.Remote, error) {
	remote, err := h.of.Git(ctx, connection, repository)
	h.hide(remote.Secrets()...)
	return remote, err
}

// Open implements Credentials.
func (h hiding) Open(ctx context.Context, sealed string) (string, error) {
	value, err := h.of.Open(ctx, sealed)
	h.hide(value)
	return value, err
}

// noCredentials are those of a runner that has no connections.
type noCredentials struct{}

// Git implements Credentials.
func (noCredentials) Git(context.Context, string, string) (gitauth.Remote, error) {
	return gitauth.Remote{}, &CredentialsError{Code: ConfigurationError, Err: errors.New("this runner cannot use connections")}
}

// Open implements Credentials.
func (noCredentials) Open(context.Context, string) (string, error) {
	return "", &CredentialsError{Code: ConfigurationError, Err: errors.New("this runner cannot open secret values of a configuration")}
}
