package server

import (
	"context"
	"errors"
	"net/http"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection/access"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
)

// credentialsOf returns what an attempt or a turn authenticates with.
func (s withArtifacts) credentialsOf(of action.Scope) action.Credentials {
	return scopedCredentials{start: s, of: of}
}

// scopedCredentials belong to one attempt or turn.
type scopedCredentials struct {
	start withArtifacts
	of    action.Scope
}

// Git implements action.Credentials.
func (c scopedCredentials) Git(ctx context.Context, connection, repository string) (gitauth.Remote, error) {
	remote, err := c.start.connections.Git(ctx, c.of.Account, connection, repository)
	return remote, credentialsError(err)
}

// Open implements action.Credentials. What went wrong inside the server is told to the
// operator alone.
func (c scopedCredentials) Open(ctx context.Context, sealed string) (string, error) {
	value, err := service.OpenSealed(ctx, c.start.sealer, c.of.Account, c.of.Pipeline, sealed)
	if err != nil && ctx.Err() == nil {
		c.start.log.Error("Cannot open a secret value of an action", "pipeline", c.of.Pipeline, "execution", c.of.ExecutionID, "stage", c.of.Stage,
			"action_execution", c.of.ActionExecutionID, "error", err)
		return "", errors.New("the server cannot open a secret value of the action's configuration; its log says why")
	}
	return value, err
}

// credentialsError says with which code an action fails, if a later try cannot succeed.
func credentialsError(err error) error {
	var unusable *access.UnusableError
	var refused *api.Error
	switch {
	case errors.As(err, &unusable):
		return &action.CredentialsError{Code: action.ConfigurationError, Err: err}
	case errors.As(err, &refused):
		switch refused.Status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusUnprocessableEntity:
			if refused.RetryAfter == 0 {
				return &action.CredentialsError{Code: action.PermissionError, Err: err}
			}
		}
	}
	return err
}
