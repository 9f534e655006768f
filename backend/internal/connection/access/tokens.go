package access

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// tokenMargin is how long before its end a token is not handed out any more.
	tokenMargin = 5 * time.Minute
	// claimLength is how long one server alone may ask for a token. It is more than a
	// request takes.
	claimLength = 45 * time.Second
	// claimPoll is how often a server looks for the token that another asks for.
	claimPoll = 100 * time.Millisecond
)

// issued is a token that a forge issued.
type issued struct {
	token   string
	expires time.Time
}

// cachedToken returns the token of a connection for a scope, which all servers share. If
// there is none, or it ends soon, one server asks for the next, and the others wait for it.
func (r *Resolver) cachedToken(
	ctx context.Context, c *connection.Connection, scope string, issue func(context.Context) (issued, error),
) (string, error) {
	for {
		cached, err := r.token(ctx, c, scope)
		if err != nil {
			return "", err
		}
		now := r.config.Clock()
		if len(cached.Sealed) > 0 && now.Add(tokenMargin).Before(cached.ExpiresAt) {
			plain, err := r.config.Sealer.Open(ctx, cached.Sealed, cached.Binding())
			if err != nil {
				return "", fmt.Errorf("open the cached token: %w", err)
			}
			return string(plain), nil
		}
		if now.Before(cached.ClaimedUntil) {
			if err := r.config.Wait(ctx, claimPoll); err != nil {
				return "", err
			}
			continue
		}
		claim := cached
		claim.ClaimedUntil = now.Add(claimLength)
		err = r.saveToken(ctx, claim)
		if errors.Is(err, store.ErrStale) {
			continue
		}
		if err != nil {
			return "", err
		}
		claim.Revision++
		return r.issueToken(ctx, claim, issue)
	}
}

// issueToken asks for a token and stores it for the other servers.
func (r *Resolver) issueToken(
	ctx context.Context, claim connection.CachedToken, issue func(context.Context) (issued, error),
) (string, error) {
	next := claim
	next.ClaimedUntil = time.Time{}
	made, err := issue(ctx)
	if err != nil {
		// The claim ends by itself if this fails.
		_ = r.saveToken(context.WithoutCancel(ctx), next)
		return "", err
	}
	if next.Sealed, err = r.config.Sealer.Seal(ctx, []byte(made.token), next.Binding()); err != nil {
		return "", fmt.Errorf("seal the token: %w", err)
	}
	next.ExpiresAt = made.expires
	// If the connection changed, the token is of its credentials before: it is used once.
	if err := r.saveToken(ctx, next); err != nil && !errors.Is(err, store.ErrStale) && !errors.Is(err, store.ErrNotFound) {
		return "", err
	}
	return made.token, nil
}

// token returns the row of a token, an empty one if there is none.
func (r *Resolver) token(ctx context.Context, c *connection.Connection, scope string) (connection.CachedToken, error) {
	cached := connection.CachedToken{Account: c.Account, Connection: c.Name, Scope: scope}
	err := r.config.Store.View(ctx, func(ctx context.Context, reader store.Reader) error {
		found, err := reader.CachedToken(ctx, c.Account, c.Name, scope)
		if err == nil {
			cached = found
		}
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	return cached, err
}

func (r *Resolver) saveToken(ctx context.Context, token connection.CachedToken) error {
	return r.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error { return tx.SaveCachedToken(ctx, token) })
}
