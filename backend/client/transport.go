package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

// plaintext tells whether the configuration asks for a connection without TLS:
// on this machine unless certificates are named, beyond it only with Insecure.
func (c Config) plaintext() bool {
	if c.Insecure {
		return true
	}
	return local(c.Endpoint) && c.CACertFile == "" && c.ClientCertFile == ""
}

// transport returns the transport credentials that the configuration asks for.
func (c Config) transport() (credentials.TransportCredentials, error) {
	if c.plaintext() {
		return insecure.NewCredentials(), nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if c.CACertFile != "" {
		pem, err := os.ReadFile(c.CACertFile)
		if err != nil {
			return nil, fmt.Errorf("read ca_cert_file: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca_cert_file %s holds no PEM certificate", c.CACertFile)
		}
	}
	if c.ClientCertFile != "" {
		certificate, err := tls.LoadX509KeyPair(c.ClientCertFile, c.ClientKeyFile)
		if err != nil {
			return nil, fmt.Errorf("load client_cert_file %s with client_key_file %s: %w", c.ClientCertFile, c.ClientKeyFile, err)
		}
		conf.Certificates = []tls.Certificate{certificate}
	}
	return credentials.NewTLS(conf), nil
}

// bearer sends the token with every call.
type bearer struct {
	token string
	// secure makes gRPC refuse to send the token over a connection without TLS.
	secure bool
}

// GetRequestMetadata returns the authorization header.
func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + b.token}, nil
}

// RequireTransportSecurity is gRPC's own guard, beside the choice of transport.
func (b bearer) RequireTransportSecurity() bool {
	return b.secure
}
