package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
)

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
