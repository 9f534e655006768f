package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxSessions bounds the sessions of a token, far above the browsers of a person. The one that was
// not used for the longest makes room.
const maxSessions = 100

// LogIn returns who a token stands for and a session of it, with the session's secret. It ends the
// session that the browser had before, whose secret may be empty.
func (a *Accounts) LogIn(ctx context.Context, secret, before string) (auth.Identity, auth.Session, string, error) {
	// A token that is not valid costs a read.
	who, err := a.Authenticate(ctx, secret)
	if err != nil {
		return auth.Identity{}, auth.Session{}, "", err
	}
	var session auth.Session
	var key string
	err = a.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		token, err := tx.Token(ctx, who.Token)
		if err != nil {
			return err
		}
		if before != "" {
			if err := tx.DeleteSession(ctx, auth.Hash(before)); err != nil {
				return err
			}
		}
		session, key = auth.NewSession(&token, a.config.Clock())
		return tx.CreateSession(ctx, session, maxSessions)
	})
	if errors.Is(err, store.ErrNotFound) {
		return auth.Identity{}, auth.Session{}, "", errNoToken()
	}
	if err != nil {
		return auth.Identity{}, auth.Session{}, "", fmt.Errorf("log in: %w", err)
	}
	return who, session, key, nil
}

// AuthenticateSession returns who a session stands for, by its secret, and the session, which it
// keeps from becoming idle. A session of a token that was revoked or has expired has ended too.
func (a *Accounts) AuthenticateSession(ctx context.Context, secret string) (auth.Identity, auth.Session, error) {
	var session auth.Session
	var token auth.Token
	err := a.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if session, err = r.Session(ctx, auth.Hash(secret)); err != nil {
			return err
		}
		token, err = r.Token(ctx, session.Token)
		return err
	})
	now := a.config.Clock()
	if errors.Is(err, store.ErrNotFound) || err == nil && (session.Ended(now) || token.Expired(now)) {
		return auth.Identity{}, auth.Session{}, refuse(KindUnauthenticated, pipeline.ReasonUnauthenticated, "the session has ended; log in again")
	}
	if err != nil {
		return auth.Identity{}, auth.Session{}, fmt.Errorf("look up a session: %w", err)
	}
	used, changed := session.Use(now)
	if !changed {
		return token.Identity(), session, nil
	}
	err = a.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.UpdateSession(ctx, used) })
	if err != nil && ctx.Err() == nil {
		// It is valid, and the next use tries again. A disk that is full must not log people out.
		return token.Identity(), session, nil
	}
	return token.Identity(), used, err
}

// LogOut ends a session. It is not an error if it has ended.
func (a *Accounts) LogOut(ctx context.Context, secret string) error {
	err := a.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, auth.Hash(secret)) })
	if err != nil {
		return fmt.Errorf("log out: %w", err)
	}
	return nil
}
