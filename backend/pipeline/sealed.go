package pipeline

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"maps"
	"strings"
)

// A secret value of a configuration is stored as sealed:v1:SALT:HASH:CIPHERTEXT. Everything
// that leaves the server has sealed:v1:SALT:HASH, the reference of the value. A caller that has
// the value can tell by the reference that it is the same. The reference does not reveal it.
const (
	sealedPrefix    = "sealed:v1:"
	sealedSaltBytes = 16
	sealedHashBytes = 24
	// sealedRounds make a guess at a value cost as much as one at a password.
	sealedRounds = 100_000
)

// Sealed returns the stored form of a secret value. The salt is random, SealedSaltBytes long,
// and the ciphertext what only the server can open.
func Sealed(value string, salt, ciphertext []byte) (string, error) {
	hash, err := sealedHash(value, salt)
	if err != nil {
		return "", err
	}
	return sealedPrefix + encode(salt) + ":" + hash + ":" + encode(ciphertext), nil
}

// SealedSaltBytes is the length of the salt of Sealed.
const SealedSaltBytes = sealedSaltBytes

// IsSealed tells whether text is the stored form or the reference of a secret value.
func IsSealed(text string) bool {
	_, _, ok := splitSealed(text)
	return ok
}

// SealedReference returns what of a stored value may be shown. Other text stays as it is.
func SealedReference(text string) string {
	reference, _, ok := splitSealed(text)
	if !ok {
		return text
	}
	return reference
}

// SealedCiphertext returns what opens to the value, and false if text is not a stored form.
func SealedCiphertext(text string) ([]byte, bool) {
	_, ciphertext, ok := splitSealed(text)
	if !ok || ciphertext == "" {
		return nil, false
	}
	decoded, err := base64.RawURLEncoding.DecodeString(ciphertext)
	return decoded, err == nil
}

// SealedIs tells whether a stored form or a reference is that of a value.
func SealedIs(text, value string) bool {
	reference, _, ok := splitSealed(text)
	if !ok {
		return false
	}
	salt, hash, _ := strings.Cut(strings.TrimPrefix(reference, sealedPrefix), ":")
	decoded, err := base64.RawURLEncoding.DecodeString(salt)
	if err != nil {
		return false
	}
	expected, err := sealedHash(value, decoded)
	return err == nil && subtle.ConstantTimeCompare([]byte(expected), []byte(hash)) == 1
}

// ShownConfiguration returns a copy of a configuration with references instead of secret
// values.
func ShownConfiguration(configuration map[string]string) map[string]string {
	shown := maps.Clone(configuration)
	for key, value := range shown {
		if strings.HasPrefix(value, sealedPrefix) {
			shown[key] = SealedReference(value)
		}
	}
	return shown
}

// splitSealed returns the reference and the ciphertext of a stored form.
func splitSealed(text string) (reference, ciphertext string, ok bool) {
	rest, found := strings.CutPrefix(text, sealedPrefix)
	if !found {
		return "", "", false
	}
	parts := strings.Split(rest, ":")
	if len(parts) != 2 && len(parts) != 3 {
		return "", "", false
	}
	if len(parts) == 3 {
		ciphertext = parts[2]
	}
	return sealedPrefix + parts[0] + ":" + parts[1], ciphertext, true
}

func sealedHash(value string, salt []byte) (string, error) {
	hash, err := pbkdf2.Key(sha256.New, value, salt, sealedRounds, sealedHashBytes)
	if err != nil {
		return "", fmt.Errorf("hash a secret value: %w", err)
	}
	return encode(hash), nil
}

func encode(data []byte) string { return base64.RawURLEncoding.EncodeToString(data) }

// RestoreSecrets returns a configuration that was read, with the values of prior instead of
// their references, so that what was declared reads back as it is.
func RestoreSecrets(read, prior map[string]string) map[string]string {
	restored := maps.Clone(read)
	for key, value := range read {
		if SealedIs(value, prior[key]) {
			restored[key] = prior[key]
		}
	}
	return restored
}
