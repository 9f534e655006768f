package connection

import (
	"bytes"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// allowed returns the credentials that a connection may have.
func allowed(c *pipeline.Connection) []CredentialName {
	switch c.Type {
	case pipeline.ConnectionGitHubApp:
		return []CredentialName{AppPrivateKey}
	case pipeline.ConnectionGit:
		if c.UsesSSH() {
			return []CredentialName{SSHPrivateKey}
		}
		return []CredentialName{Password}
	default:
		if c.SSH != nil {
			return []CredentialName{Token, SSHPrivateKey}
		}
		return []CredentialName{Token}
	}
}

// Allows tells whether a connection may have a credential.
func Allows(c *pipeline.Connection, name CredentialName) bool {
	for _, n := range allowed(c) {
		if n == name {
			return true
		}
	}
	return false
}

// Required returns the credentials without which a connection does not work.
func Required(c *pipeline.Connection) []CredentialName {
	// A git server may serve everybody without a password.
	if c.Type == pipeline.ConnectionGit && !c.UsesSSH() && c.Username == "" {
		return nil
	}
	return allowed(c)
}

// Inspect checks the value of a credential and returns its fingerprint, which is empty for
// tokens and passwords. The error never holds the value.
func Inspect(name CredentialName, value string) (fingerprint string, err error) {
	switch name {
	case AppPrivateKey:
		key, err := ParseAppKey([]byte(value))
		if err != nil {
			return "", err
		}
		public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		if err != nil {
			return "", err
		}
		sum := sha256.Sum256(public)
		return "SHA256:" + base64.StdEncoding.EncodeToString(sum[:]), nil
	case SSHPrivateKey:
		signer, err := ssh.ParsePrivateKey([]byte(value))
		var locked *ssh.PassphraseMissingError
		switch {
		case errors.As(err, &locked):
			return "", errors.New("the key has a passphrase; use a key without one, which the server seals before it stores it")
		case err != nil:
			return "", errors.New("the value is not a private key of SSH; use the content of a file like id_ed25519, with its BEGIN and END lines")
		}
		return ssh.FingerprintSHA256(signer.PublicKey()), nil
	default:
		// It becomes a header or the answer to a prompt of git, where a new line would end it.
		if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "", errors.New("the value has a new line or another control character in it; remove it, often at the end of a file")
		}
		return "", nil
	}
}

// ParseAppKey reads the private key of a GitHub App, as GitHub makes it (PKCS #1) or as
// openssl converts it (PKCS #8).
func ParseAppKey(text []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("the value is not a private key in PEM; use the content of the .pem file that GitHub made for the App, " +
			"with its BEGIN and END lines")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if key, ok := parsed.(*rsa.PrivateKey); err == nil && ok {
		return key, nil
	}
	return nil, errors.New("the value is not an RSA private key; use the content of the .pem file that GitHub made for the App")
}

// CheckKnownHosts says what is wrong with lines of a known_hosts file.
func CheckKnownHosts(lines string) error {
	rest, found := []byte(lines), false
	for {
		marker, _, _, _, next, err := ssh.ParseKnownHosts(rest)
		switch {
		case err != nil && len(bytes.TrimSpace(rest)) == 0, err != nil && found && onlyComments(rest):
			if !found {
				return errors.New("known_hosts has no key; add lines of the form HOST TYPE KEY, such as the output of: ssh-keyscan HOST")
			}
			return nil
		case err != nil:
			return fmt.Errorf("known_hosts has a line that is not of the form HOST TYPE KEY: %w", err)
		}
		found = found || marker != "revoked"
		rest = next
	}
}

func onlyComments(lines []byte) bool {
	for line := range bytes.Lines(lines) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// CheckCertificates says what is wrong with certificates in PEM.
func CheckCertificates(text string) error {
	rest, found := []byte(text), false
	for {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("ca_certificate holds a %s; it takes only certificates", strings.ToLower(block.Type))
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("ca_certificate holds a certificate that cannot be read: %w", err)
		}
		found = true
	}
	if !found {
		return errors.New("ca_certificate holds no certificate; write it in PEM, with its BEGIN and END lines")
	}
	return nil
}
