// Package client dials headraced: transport security, token, deadlines, retry
// of idempotent calls and errors that callers can branch on. The provider and the
// command line use it. It must never decide what a caller
// does with an answer, nor import the server.
package client

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
)

// DefaultEndpoint is where headraced listens when nothing else is said.
const DefaultEndpoint = "127.0.0.1:7480"

// DefaultAccount is the account that every server has from its first start.
const DefaultAccount = "default"

// The environment variables that fill what a Config leaves out.
const (
	EnvEndpoint       = "HEADRACE_ENDPOINT"
	EnvToken          = "HEADRACE_TOKEN"
	EnvTokenFile      = "HEADRACE_TOKEN_FILE" //nolint:gosec // The name of a variable, not a secret.
	EnvAccount        = "HEADRACE_ACCOUNT"
	EnvCACertFile     = "HEADRACE_CA_CERT_FILE"
	EnvClientCertFile = "HEADRACE_CLIENT_CERT_FILE"
	EnvClientKeyFile  = "HEADRACE_CLIENT_KEY_FILE"
	EnvInsecure       = "HEADRACE_INSECURE"
)

// Config says which server to talk to and as whom.
type Config struct {
	// Endpoint is host:port, or unix:/path/to/socket. Default DefaultEndpoint.
	Endpoint string
	// Token is the caller's secret. Without one the server tells what it is and
	// refuses the rest.
	Token string
	// TokenFile holds the token, with or without a newline at its end. It is
	// read by FromEnvironment where Token is empty.
	TokenFile string
	// Account is the account that names without one belong to. Default DefaultAccount.
	Account string
	// CACertFile holds the PEM certificates of the authorities that may vouch
	// for the server, instead of the system's.
	CACertFile string
	// ClientCertFile and ClientKeyFile, both or none, hold the PEM certificate
	// and key that the client shows to the server.
	ClientCertFile string
	ClientKeyFile  string
	// Insecure allows plaintext to endpoints beyond this machine. Whoever sees
	// the traffic can then read the token.
	Insecure bool
}

// FromEnvironment returns the explicit configuration, filled from the
// environment and then with defaults. getenv is os.Getenv outside of tests. An
// explicit token or token file wins over both of the environment's, which are
// refused together: nobody could tell as whom a call is made. Insecure is on
// where either asks for it: a caller that knows an explicit false hides
// HEADRACE_INSECURE from getenv.
func FromEnvironment(getenv func(string) string, explicit Config) (Config, error) {
	cfg := explicit
	fill := func(field *string, name string) {
		if *field == "" {
			*field = getenv(name)
		}
	}
	fill(&cfg.Endpoint, EnvEndpoint)
	fill(&cfg.Account, EnvAccount)
	fill(&cfg.CACertFile, EnvCACertFile)
	// Certificate and key belong together: one from each place would not match.
	if cfg.ClientCertFile == "" && cfg.ClientKeyFile == "" {
		cfg.ClientCertFile = getenv(EnvClientCertFile)
		cfg.ClientKeyFile = getenv(EnvClientKeyFile)
	}
	if text := getenv(EnvInsecure); text != "" && !cfg.Insecure {
		insecure, err := strconv.ParseBool(text)
		if err != nil {
			return Config{}, fmt.Errorf("%s is %q: use true or false", EnvInsecure, text)
		}
		cfg.Insecure = insecure
	}
	if cfg.Token == "" && cfg.TokenFile == "" {
		cfg.Token, cfg.TokenFile = strings.TrimSpace(getenv(EnvToken)), getenv(EnvTokenFile)
		if cfg.Token != "" && cfg.TokenFile != "" {
			return Config{}, fmt.Errorf("both %s and %s are set, and may stand for different people; unset one", EnvToken, EnvTokenFile)
		}
	}
	if cfg.Token == "" && cfg.TokenFile != "" {
		content, err := os.ReadFile(cfg.TokenFile)
		if err != nil {
			return Config{}, fmt.Errorf("read the token: %w", err)
		}
		cfg.Token = strings.TrimSpace(string(content))
		if cfg.Token == "" {
			return Config{}, fmt.Errorf("read the token: %s is empty", cfg.TokenFile)
		}
	}
	if cfg.Endpoint == "" {
		cfg.Endpoint = DefaultEndpoint
	}
	if cfg.Account == "" {
		cfg.Account = DefaultAccount
	}
	return cfg, cfg.Validate()
}

// Validate checks what can be checked without reading files or dialing.
func (c Config) Validate() error {
	var errs []error
	if err := checkEndpoint(c.Endpoint); err != nil {
		errs = append(errs, err)
	}
	if (c.ClientCertFile == "") != (c.ClientKeyFile == "") {
		errs = append(errs, errors.New("client_cert_file and client_key_file belong together: set both or none"))
	}
	if c.Insecure && (c.CACertFile != "" || c.ClientCertFile != "") {
		errs = append(errs, errors.New("insecure means plaintext: it cannot be set together with certificate files"))
	}
	for _, r := range c.Token {
		if r <= ' ' || r > '~' {
			errs = append(errs, errors.New("the token has characters that no token has (spaces, line breaks or beyond ASCII): "+
				"check that it was copied whole and alone"))
			break
		}
	}
	return errors.Join(errs...)
}

// checkEndpoint returns an error that shows the right form of an endpoint.
func checkEndpoint(endpoint string) error {
	if path, ok := strings.CutPrefix(endpoint, "unix:"); ok {
		if strings.Trim(path, "/") == "" {
			return fmt.Errorf("endpoint %q names no socket: use unix:/path/to/socket", endpoint)
		}
		return nil
	}
	if strings.Contains(endpoint, "://") {
		return fmt.Errorf("endpoint %q is a URL: use host:port alone, TLS is chosen by itself", endpoint)
	}
	host, port, err := net.SplitHostPort(endpoint)
	if err != nil {
		return fmt.Errorf("endpoint %q is not host:port, for instance %s", endpoint, DefaultEndpoint)
	}
	if host == "" {
		return fmt.Errorf("endpoint %q names no host, for instance %s", endpoint, DefaultEndpoint)
	}
	if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
		return fmt.Errorf("endpoint %q has no valid port, for instance %s", endpoint, DefaultEndpoint)
	}
	return nil
}

// local tells whether the endpoint cannot leave this machine, so that
// plaintext shows nothing to anybody else.
func local(endpoint string) bool {
	if strings.HasPrefix(endpoint, "unix:") {
		return true
	}
	host, _, err := net.SplitHostPort(endpoint)
	if err != nil {
		return false
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
