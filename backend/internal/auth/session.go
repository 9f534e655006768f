package auth

import (
	"crypto/rand"
	"encoding/base64"
	"time"
)

const (
	// sessionIdle ends a session that is not used.
	sessionIdle = 12 * time.Hour
	// sessionLife ends a session that is.
	sessionLife = 7 * 24 * time.Hour
	// sessionStep is how much of sessionIdle passes before a use of the session is written down.
	sessionStep = 10 * time.Minute
)

// Session is a browser in which somebody logged in with a token. Only a hash of its secret is kept,
// which the browser has in two parts.
type Session struct {
	Hash string
	// Token is the id of the token, with which the session ends too.
	Token     string
	CreatedAt time.Time
	// IdleAt is when the session ends if it is not used, EndsAt when it ends anyway.
	IdleAt, EndsAt time.Time
}

// NewSession returns a session of a token that begins now, and its secret. The secret is two random
// parts with a dot between them, which SessionSecret joins.
func NewSession(token *Token, now time.Time) (session Session, secret string) {
	secret = SessionSecret(newPart(), newPart())
	session = Session{Hash: Hash(secret), Token: token.ID, CreatedAt: now, IdleAt: now.Add(sessionIdle), EndsAt: now.Add(sessionLife)}
	if !token.ExpiresAt.IsZero() && token.ExpiresAt.Before(session.EndsAt) {
		session.EndsAt = token.ExpiresAt
	}
	return session, secret
}

// SessionSecret returns the secret of a session, of its parts: what its cookie has, and its key.
func SessionSecret(cookie, key string) string { return cookie + "." + key }

func newPart() string {
	var random [32]byte
	// crypto/rand never fails: it ends the program instead.
	_, _ = rand.Read(random[:])
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// Ended reports whether the session has ended by a time.
func (s *Session) Ended(now time.Time) bool {
	return !now.Before(s.IdleAt) || !now.Before(s.EndsAt)
}

// Use returns the session after a use at a time, and whether that is different enough to be
// stored.
func (s Session) Use(now time.Time) (used Session, changed bool) {
	used = s
	used.IdleAt = now.Add(sessionIdle)
	return used, used.IdleAt.Sub(s.IdleAt) >= sessionStep
}
