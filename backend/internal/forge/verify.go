package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// tolerance is how far the time of a signature may be from now.
	tolerance = 5 * time.Minute
	// maxSignatures bounds the work for a header with many signatures.
	maxSignatures = 8
	// SigningPrefix begins the secrets of Standard Webhooks, which are base64 after it.
	SigningPrefix = "whsec_"
)

// OneHeader returns a header that must be there once.
func OneHeader(headers http.Header, name string) (string, error) {
	switch values := headers.Values(name); {
	case len(values) == 0 || values[0] == "":
		return "", Unverified(SignatureMissing, "header %s is missing", name)
	case len(values) > 1:
		return "", Unverified(SignatureInvalid, "header %s is there %d times", name, len(values))
	default:
		return values[0], nil
	}
}

// Signer is what a signature of each secret is compared with.
type Signer struct {
	version  int64
	expected []byte
}

// Signers returns the keyed hash of the parts by each secret.
func Signers(secrets []Secret, newHash func() hash.Hash, parts ...[]byte) []Signer {
	signers := make([]Signer, 0, len(secrets))
	for _, secret := range secrets {
		if secret.Value == "" {
			continue
		}
		signers = append(signers, Signer{version: secret.Version, expected: mac([]byte(secret.Value), newHash, parts)})
	}
	return signers
}

func mac(key []byte, newHash func() hash.Hash, parts [][]byte) []byte {
	sum := hmac.New(newHash, key)
	for _, part := range parts {
		_, _ = sum.Write(part)
	}
	return sum.Sum(nil)
}

// Compare returns the version of the secret that made the signature. It compares all of it
// with the signature of every secret, whatever is found.
func Compare(signers []Signer, signature []byte) (int64, error) {
	if len(signers) == 0 {
		return 0, Unverified(SecretUnusable, "the webhook has no secret that verifies such deliveries")
	}
	var found int64
	for _, signer := range signers {
		if hmac.Equal(signer.expected, signature) {
			found = signer.version
		}
	}
	if found == 0 {
		return 0, Unverified(SignatureInvalid, "the signature does not match a secret of the webhook")
	}
	return found, nil
}

// CompareToken returns the version of the secret that is the token itself. The time does not
// depend on where the two differ, nor on the length of the secret.
func CompareToken(secrets []Secret, token string) (int64, error) {
	signers := make([]Signer, 0, len(secrets))
	for _, secret := range secrets {
		if secret.Value != "" {
			sum := sha256.Sum256([]byte(secret.Value))
			signers = append(signers, Signer{version: secret.Version, expected: sum[:]})
		}
	}
	sum := sha256.Sum256([]byte(token))
	return Compare(signers, sum[:])
}

// SigningKey returns the key in a secret of Standard Webhooks.
func SigningKey(secret string) ([]byte, bool) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, SigningPrefix))
	return key, err == nil && len(key) >= 16
}

// VerifyStandard verifies a delivery as Standard Webhooks says: the signature covers the id,
// the time and the raw body. Of several signatures, one must be right.
func VerifyStandard(secrets []Secret, headers http.Header, body []byte, now time.Time) (int64, error) {
	var values [3]string
	for i, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		value, err := OneHeader(headers, name)
		if err != nil {
			return 0, err
		}
		values[i] = value
	}
	id, timestamp, signatures := values[0], values[1], strings.Fields(values[2])
	if len(signatures) > maxSignatures {
		return 0, Unverified(SignatureInvalid, "header webhook-signature has %d signatures, more than %d", len(signatures), maxSignatures)
	}
	var signers []Signer
	for _, secret := range secrets {
		if key, ok := SigningKey(secret.Value); ok {
			signers = append(signers, Signer{
				version:  secret.Version,
				expected: mac(key, sha256.New, [][]byte{[]byte(id + "." + timestamp + "."), body}),
			})
		}
	}
	if len(signers) == 0 {
		return Compare(nil, nil)
	}
	var found int64
	for _, signature := range signatures {
		version, encoded, _ := strings.Cut(signature, ",")
		if version != "v1" {
			continue
		}
		given, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil {
			continue
		}
		if by, err := Compare(signers, given); err == nil {
			found = by
		}
	}
	if found == 0 {
		return 0, Unverified(SignatureInvalid, "the signature does not match a secret of the webhook")
	}
	// Only now is the time that of somebody who has the secret.
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return 0, Unverified(SignatureInvalid, "header webhook-timestamp is not a number of seconds")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age > tolerance || age < -tolerance {
		return 0, Unverified(SignatureExpired, "the signature is of another time: more than %s from now; "+
			"compare the clocks of both machines", tolerance)
	}
	return found, nil
}

// CheckLength refuses a secret that is too short to be a key.
func CheckLength(value string, least int) error {
	if len(value) < least {
		return fmt.Errorf("the secret has %d bytes; it must have at least %d", len(value), least)
	}
	return nil
}
