package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"time"
)

// Token is a principal and what it may do. Only a hash of the secret is kept.
type Token struct {
	ID        string
	Hash      string
	Principal string
	Groups    []string
	Bindings  []Binding
	CreatedAt time.Time
	// ExpiresAt is zero for never.
	ExpiresAt time.Time
}

// Expired reports whether the token has expired by a time.
func (t *Token) Expired(now time.Time) bool {
	return !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt)
}

// Identity returns the caller that the token stands for.
func (t *Token) Identity() Identity {
	return Identity{Token: t.ID, Principal: t.Principal, Groups: t.Groups, Bindings: t.Bindings}
}

// secretPrefix lets secret scanners and people recognise a token.
const secretPrefix = "hr_"

// NewSecret returns a fresh token: 256 random bits in characters that are safe
// in headers, URLs and shells.
func NewSecret() string {
	var random [32]byte
	// crypto/rand never fails: it ends the program instead.
	_, _ = rand.Read(random[:])
	return secretPrefix + base64.RawURLEncoding.EncodeToString(random[:])
}

// Hash returns the form of a secret that is stored and looked up. The secret
// has 256 random bits, so that a plain hash cannot be searched.
func Hash(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])
}
