package api

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// HTTPConfig is how a forge is reached.
type HTTPConfig struct {
	// Endpoint is the address of the API. Credentials are sent to its host only.
	Endpoint *url.URL
	// CACertificate holds certificates in PEM that are trusted beside the system's.
	CACertificate string
	// Authorize adds the credentials to a request to the endpoint's host.
	Authorize func(*http.Request) error
	UserAgent string
	// Now and Wait are the clock. Wait returns early if the context ends.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
}

const (
	// requestTimeout bounds one request with its answer.
	requestTimeout = 30 * time.Second
	// maxWait bounds how long a read waits because the forge asks for it. It is less than
	// what callers of the API wait for an answer.
	maxWait = 20 * time.Second
	// idleTimeout is enough for the calls of one use of a connection.
	idleTimeout = 5 * time.Second
	// maxAnswer bounds an answer.
	maxAnswer = 32 << 20
)

// NewHTTPClient returns a client for the API of a forge. It sends credentials to the host of
// the endpoint only and follows no redirect to another. If the forge asks a read to wait, it
// waits and repeats the read once.
func NewHTTPClient(cfg HTTPConfig) (*http.Client, error) {
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("read the certificates of the system: %w", err)
	}
	if cfg.CACertificate != "" && !roots.AppendCertsFromPEM([]byte(cfg.CACertificate)) {
		return nil, errors.New("ca_certificate holds no certificate")
	}
	base := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
		ForceAttemptHTTP2:     true,
		// A client is made for each use of a connection.
		IdleConnTimeout: idleTimeout,
	}
	return &http.Client{
		Timeout:   requestTimeout + maxWait,
		Transport: &transport{config: cfg, base: base},
		CheckRedirect: func(request *http.Request, via []*http.Request) error {
			if !sameOrigin(request.URL, cfg.Endpoint) {
				return &RedirectError{Host: request.URL.Host}
			}
			if len(via) > 5 {
				return errors.New("stopped after 5 redirects")
			}
			return nil
		},
	}, nil
}

// RedirectError is a redirect that was not followed.
type RedirectError struct{ Host string }

func (e *RedirectError) Error() string {
	return fmt.Sprintf("it redirects to %s, where the credentials must not be sent; set the endpoint to the address that answers itself", e.Host)
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Host, b.Host)
}

// transport authorizes requests and waits where the forge asks for it.
type transport struct {
	config HTTPConfig
	base   http.RoundTripper
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if !sameOrigin(request.URL, t.config.Endpoint) {
		return nil, &RedirectError{Host: request.URL.Host}
	}
	response, err := t.once(request)
	if err != nil || request.Method != http.MethodGet {
		return response, err
	}
	after := RetryAfter(response, t.config.Now())
	if after <= 0 || after > maxWait {
		return response, nil
	}
	if deadline, ok := request.Context().Deadline(); ok && t.config.Now().Add(after).After(deadline) {
		return response, nil
	}
	if err := response.Body.Close(); err != nil {
		return nil, err
	}
	if err := t.config.Wait(request.Context(), after); err != nil {
		return nil, err
	}
	return t.once(request)
}

func (t *transport) once(request *http.Request) (*http.Response, error) {
	// A RoundTripper must not change the request of its caller.
	sent := request.Clone(request.Context())
	if t.config.UserAgent != "" {
		sent.Header.Set("User-Agent", t.config.UserAgent)
	}
	if t.config.Authorize != nil {
		if err := t.config.Authorize(sent); err != nil {
			return nil, err
		}
	}
	response, err := t.base.RoundTrip(sent)
	if err == nil {
		response.Body = &limitedBody{Reader: io.LimitReader(response.Body, maxAnswer), Closer: response.Body}
	}
	return response, err
}

type limitedBody struct {
	io.Reader
	io.Closer
}

// RetryAfter returns how long an answer asks to wait, 0 if it does not.
func RetryAfter(response *http.Response, now time.Time) time.Duration {
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusForbidden:
	default:
		return 0
	}
	if text := response.Header.Get("Retry-After"); text != "" {
		if seconds, err := strconv.ParseInt(text, 10, 32); err == nil && seconds >= 0 {
			return max(time.Second, time.Duration(seconds)*time.Second)
		}
		if at, err := http.ParseTime(text); err == nil {
			return max(time.Second, at.Sub(now))
		}
	}
	// GitHub and GitLab say when the limit is reset, as seconds since 1970.
	for _, prefix := range []string{"X-RateLimit-", "RateLimit-"} {
		if response.Header.Get(prefix+"Remaining") != "0" {
			continue
		}
		if reset, err := strconv.ParseInt(response.Header.Get(prefix+"Reset"), 10, 64); err == nil {
			return max(time.Second, time.Unix(reset, 0).Sub(now))
		}
	}
	return 0
}

// Sleep is HTTPConfig.Wait by the clock of the machine.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
