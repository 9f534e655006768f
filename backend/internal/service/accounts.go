package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// AccountsConfig is what Accounts needs.
type AccountsConfig struct {
	Store   store.Store
	Reports *Reports
	Clock   func() time.Time
	// NewID returns ids that ascend with time.
	NewID func() string
}

// Accounts keeps accounts and tokens and tells who a token stands for.
type Accounts struct {
	config AccountsConfig
}

// AccountView is an account with what its settings do now.
type AccountView struct {
	auth.Account
	Warnings []Warning
}

// NewAccounts returns the use cases of accounts and tokens.
func NewAccounts(cfg AccountsConfig) *Accounts {
	return &Accounts{config: cfg}
}

// NewToken is what a token shall stand for.
type NewToken struct {
	Principal string
	Groups    []string
	Bindings  []auth.Binding
	// ExpiresAt is zero for never.
	ExpiresAt time.Time
}

// Authenticate returns who a secret stands for. Unknown, revoked and expired
// tokens are all refused in the same words.
func (a *Accounts) Authenticate(ctx context.Context, secret string) (auth.Identity, error) {
	var token auth.Token
	err := a.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		token, err = r.TokenByHash(ctx, auth.Hash(secret))
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && token.Expired(a.config.Clock()) {
		return auth.Identity{}, errNoToken()
	}
	if err != nil {
		return auth.Identity{}, fmt.Errorf("look up a token: %w", err)
	}
	return token.Identity(), nil
}

func errNoToken() error {
	return refuse(KindUnauthenticated, pipeline.ReasonUnauthenticated, "the token is unknown, revoked or expired; ask an admin for a new one")
}

// CreateAccount makes an account. It takes an admin of all accounts.
func (a *Accounts) CreateAccount(ctx context.Context, who auth.Identity, name string) (auth.Account, error) {
	if err := authorize(who, auth.Administer, auth.Every); err != nil {
		return auth.Account{}, err
	}
	if err := pipeline.CheckAccount(name); err != nil {
		return auth.Account{}, invalidField(pipeline.Path(nil).Field("account").Field("name"), err.Error())
	}
	account := auth.Account{Name: name, CreatedAt: a.config.Clock()}
	err := a.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, account)
	})
	if errors.Is(err, store.ErrAlreadyExists) {
		return auth.Account{}, refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists, "account %q exists", name)
	}
	if err != nil {
		return auth.Account{}, fmt.Errorf("create account %q: %w", name, err)
	}
	return account, nil
}

// GetAccount returns an account. Any role in it is enough, as for the list of accounts.
func (a *Accounts) GetAccount(ctx context.Context, who auth.Identity, name string) (AccountView, error) {
	if err := authorize(who, auth.ReadAccount, name); err != nil {
		return AccountView{}, err
	}
	var account auth.Account
	err := a.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		account, err = findAccount(ctx, r, name)
		return err
	})
	if err != nil {
		return AccountView{}, fmt.Errorf("get account %q: %w", name, err)
	}
	return AccountView{account, a.config.Reports.ofAccount(ctx, who, &account)}, nil
}

// AccountChange is what an update changes of an account's settings; nil leaves a setting.
type AccountChange struct {
	RequireApprovalRule *bool
}

// UpdateAccount changes settings of an account. They hold for waits that begin from now on.
func (a *Accounts) UpdateAccount(ctx context.Context, who auth.Identity, name string, change AccountChange) (AccountView, error) {
	if err := authorize(who, auth.Administer, name); err != nil {
		return AccountView{}, err
	}
	var updated auth.Account
	err := update(ctx, a.config.Store.Update, false, func(ctx context.Context, tx store.Tx) error {
		account, err := findAccount(ctx, tx, name)
		if err != nil {
			return err
		}
		updated = account
		if change.RequireApprovalRule != nil {
			updated.RequireApprovalRule = *change.RequireApprovalRule
		}
		if updated == account {
			return nil
		}
		return tx.UpdateAccount(ctx, updated)
	})
	if err != nil {
		return AccountView{}, fmt.Errorf("update account %q: %w", name, err)
	}
	return AccountView{updated, a.config.Reports.ofAccount(ctx, who, &updated)}, nil
}

// ListAccounts returns at most size accounts that the caller has a role in, by
// name, those after the given name. The second result is the name to go on after,
// empty at the end.
func (a *Accounts) ListAccounts(ctx context.Context, who auth.Identity, after string, size int) ([]auth.Account, string, error) {
	var accounts []auth.Account
	var next string
	err := a.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		accounts, next, err = pageOf(store.Page{Size: size, After: after},
			func(page store.Page) ([]auth.Account, error) { return r.Accounts(ctx, page) },
			func(account *auth.Account) string { return account.Name },
			func(account *auth.Account) bool { return who.May(auth.ReadAccount, account.Name) })
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list accounts: %w", err)
	}
	return accounts, next, nil
}

// pageOf reads a page of those records that the caller may see. It passes over
// the others without holding more of them than a page at a time. The second
// result is the key to go on after, empty at the end.
func pageOf[T any](
	page store.Page, read func(store.Page) ([]T, error), key func(*T) string, visible func(*T) bool,
) (found []T, next string, err error) {
	size := page.Size
	// One more than asked for tells whether there is a next page.
	page.Size++
	for {
		some, err := read(page)
		if err != nil {
			return nil, "", err
		}
		for i := range some {
			page.After = key(&some[i])
			if !visible(&some[i]) {
				continue
			}
			if len(found) == size {
				return found, key(&found[size-1]), nil
			}
			found = append(found, some[i])
		}
		if len(some) < page.Size {
			return found, "", nil
		}
	}
}

// CreateToken makes a token and returns it with its secret, which is not kept.
// The caller must be an admin of every account that the token reaches.
func (a *Accounts) CreateToken(ctx context.Context, who auth.Identity, wanted NewToken) (auth.Token, string, error) {
	for _, b := range wanted.Bindings {
		if err := authorize(who, auth.Administer, b.Account); err != nil {
			return auth.Token{}, "", err
		}
	}
	field := pipeline.Path(nil).Field("token")
	now := a.config.Clock()
	switch {
	case len(wanted.Bindings) == 0:
		return auth.Token{}, "", invalidField(field.Field("bindings"), "a token without a role is of no use; bind it to a role in an account")
	case wanted.Principal == "":
		return auth.Token{}, "", invalidField(field.Field("principal"), "name the person or machine that the token stands for")
	case !wanted.ExpiresAt.IsZero() && !wanted.ExpiresAt.After(now):
		return auth.Token{}, "", invalidField(field.Field("expire_time"), "the token would have expired already; choose a time to come, or none")
	}
	secret := auth.NewSecret()
	token := auth.Token{
		ID: a.config.NewID(), Hash: auth.Hash(secret), Principal: wanted.Principal, Groups: wanted.Groups,
		Bindings: wanted.Bindings, CreatedAt: now, ExpiresAt: wanted.ExpiresAt,
	}
	err := a.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		for _, b := range wanted.Bindings {
			if b.Account == auth.Every {
				continue
			}
			if err := accountExists(ctx, tx, b.Account); err != nil {
				return err
			}
		}
		return tx.CreateToken(ctx, token)
	})
	if err != nil {
		return auth.Token{}, "", fmt.Errorf("create a token for %q: %w", wanted.Principal, err)
	}
	return token, secret, nil
}

// ListTokens returns at most size tokens that reach no account beyond those that
// the caller administers, oldest first, those after the given id. The second
// result is the id to go on after, empty at the end.
func (a *Accounts) ListTokens(ctx context.Context, who auth.Identity, after string, size int) ([]auth.Token, string, error) {
	if err := AuthorizeAnywhere(who, auth.Administer); err != nil {
		return nil, "", err
	}
	var tokens []auth.Token
	var next string
	err := a.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		tokens, next, err = pageOf(store.Page{Size: size, After: after},
			func(page store.Page) ([]auth.Token, error) { return r.Tokens(ctx, page) },
			func(token *auth.Token) string { return token.ID },
			func(token *auth.Token) bool { return administersToken(who, token) })
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list tokens: %w", err)
	}
	return tokens, next, nil
}

// RevokeToken ends a token at once. One that the caller could not list is not
// found.
func (a *Accounts) RevokeToken(ctx context.Context, who auth.Identity, id string) error {
	if err := AuthorizeAnywhere(who, auth.Administer); err != nil {
		return err
	}
	err := a.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		token, err := tx.Token(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return err
		}
		if err != nil || !administersToken(who, &token) {
			return refuse(KindNotFound, pipeline.ReasonNotFound, "token %q does not exist", id)
		}
		return tx.DeleteToken(ctx, id)
	})
	if err != nil {
		return fmt.Errorf("revoke token %q: %w", id, err)
	}
	return nil
}

func administersToken(who auth.Identity, token *auth.Token) bool {
	for _, b := range token.Bindings {
		if !who.May(auth.Administer, b.Account) {
			return false
		}
	}
	return len(token.Bindings) > 0
}
