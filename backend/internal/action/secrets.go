package action

import (
	"context"
	"errors"
)

// Secrets returns the values of secrets by their names. It belongs to one attempt or turn and
// to the account of that, and hides the values in the log and the result. The error is a
// *CredentialsError if the action is to fail with its code.
type Secrets func(ctx context.Context, names []string) (map[string]string, error)

// SecretsOf returns the values of secrets for an attempt or a turn.
type SecretsOf func(ctx context.Context, of Scope, names []string) (map[string]string, error)

// Hide returns secrets that call hide with the values that they return, before they do. A
// nil SecretsOf returns none.
func (f SecretsOf) Hide(of Scope, hide func(secrets ...string)) Secrets {
	return func(ctx context.Context, names []string) (map[string]string, error) {
		if len(names) == 0 {
			return nil, nil
		}
		if f == nil {
			return nil, &CredentialsError{Code: ConfigurationError, Err: errors.New("this runner cannot use secrets")}
		}
		values, err := f(ctx, of, names)
		for _, value := range values {
			hide(value)
		}
		return values, err
	}
}
