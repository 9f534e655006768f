package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// tokenFile is the file of the first token.
	tokenFile = "admin.token"
	// defaultAccount is there from the first start on.
	defaultAccount = "default"
	// firstPrincipal is who the first token stands for.
	firstPrincipal = "admin"
)

// bootstrap makes sure that somebody can get in. It makes the account "default"
// and an admin token on the first start. Later it keeps one promise: a token
// file that is there holds a token that works, so that a crash between writing
// the file and the database, or a lost token, ends with a restart. A token that
// was revoked stays revoked: it is replaced by a new one, never revived. Who
// wants no such file removes it.
func bootstrap(
	ctx context.Context, st store.Store, path string, clock func() time.Time, newID func() string, log hclog.Logger,
) error {
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read the admin token: %w", err)
	}
	hasFile := err == nil
	secret := strings.TrimSpace(string(text))
	var first, works bool
	err = st.View(ctx, func(ctx context.Context, r store.Reader) error {
		_, err := r.Account(ctx, defaultAccount)
		first = errors.Is(err, store.ErrNotFound)
		if err != nil && !first {
			return err
		}
		token, err := r.TokenByHash(ctx, auth.Hash(secret))
		works = err == nil && (token.ExpiresAt.IsZero() || token.ExpiresAt.After(clock()))
		if errors.Is(err, store.ErrNotFound) {
			return nil
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look for the admin token: %w", err)
	}
	if works {
		return restrictAccess(path, log)
	}
	if !first && !hasFile {
		return nil
	}
	if first && hasFile {
		log.Warn("The data directory has an admin token but an empty database, as after a first start that did not end; starting empty", "token", path)
	}
	// The file comes first: with a token in the database alone nobody could get in.
	secret = auth.NewSecret()
	err = durable.Replace(path, func(temporary string) error {
		return os.WriteFile(temporary, []byte(secret+"\n"), 0o600) //nolint:gosec // It is the file that was made beside the token's.
	})
	if err != nil {
		return fmt.Errorf("write the admin token: %w", err)
	}
	now := clock()
	err = st.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		if first {
			if err := tx.CreateAccount(ctx, auth.Account{Name: defaultAccount, CreatedAt: now}); err != nil {
				return err
			}
		}
		return tx.CreateToken(ctx, auth.Token{
			ID: newID(), Hash: auth.Hash(secret), Principal: firstPrincipal, CreatedAt: now,
			Bindings: []auth.Binding{{Account: auth.Every, Role: auth.Admin}},
		})
	})
	if first && errors.Is(err, store.ErrAlreadyExists) {
		// Another server made its first start at the same time and has the token.
		return os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("store the admin token: %w", err)
	}
	if first {
		log.Info("Made an admin token", "file", path)
	} else {
		log.Warn("The admin token on file did not work; made a new one. Remove the file to have none", "file", path)
	}
	return nil
}

// restrictAccess removes the rights of other users from the token file.
func restrictAccess(path string, log hclog.Logger) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("protect the admin token: %w", err)
	}
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	log.Warn("Others could read the admin token; revoke it if they should not have it", "file", path)
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("protect the admin token: %w", err)
	}
	return nil
}
