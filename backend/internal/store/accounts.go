package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
)

// AccountReader reads accounts.
type AccountReader interface {
	Account(ctx context.Context, name string) (auth.Account, error)
	// Accounts returns accounts by name. Page.After is a name; size 0 returns all.
	Accounts(ctx context.Context, page Page) ([]auth.Account, error)
}

// AccountWriter reads and writes accounts.
type AccountWriter interface {
	AccountReader

	CreateAccount(ctx context.Context, account auth.Account) error
	// UpdateAccount writes the settings of an account. This counts as a change of its
	// approval rules: see ApprovalRuleWriter.ConfirmRules.
	UpdateAccount(ctx context.Context, account auth.Account) error
}

// TokenReader reads tokens.
type TokenReader interface {
	TokenByHash(ctx context.Context, hash string) (auth.Token, error)
	Token(ctx context.Context, id string) (auth.Token, error)
	// Tokens returns tokens by id, which ascends in the order of their creation.
	// Page.After is an id; size 0 returns all.
	Tokens(ctx context.Context, page Page) ([]auth.Token, error)
}

// TokenWriter reads and writes tokens.
type TokenWriter interface {
	TokenReader

	CreateToken(ctx context.Context, token auth.Token) error
	DeleteToken(ctx context.Context, id string) error
}

// SessionReader reads the sessions of browsers.
type SessionReader interface {
	// Session returns a session by its hash, whether it has ended or not.
	Session(ctx context.Context, hash string) (auth.Session, error)
}

// SessionWriter reads and writes the sessions of browsers. A session is deleted with its token.
type SessionWriter interface {
	SessionReader

	// CreateSession stores a session; ErrNotFound if its token does not exist. It deletes the
	// sessions that have ended by its CreatedAt, and those of the same token that were not used
	// for the longest if there are more than most.
	CreateSession(ctx context.Context, session auth.Session, most int) error
	// UpdateSession writes when a session becomes idle; ErrNotFound if it does not exist.
	UpdateSession(ctx context.Context, session auth.Session) error
	// DeleteSession deletes a session, if it exists.
	DeleteSession(ctx context.Context, hash string) error
}
