package api_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
)

func client(t *testing.T, endpoint string, wait func(context.Context, time.Duration) error) *http.Client {
	t.Helper()
	address, err := url.Parse(endpoint)
	require.NoError(t, err)
	c, err := api.NewHTTPClient(api.HTTPConfig{
		Endpoint: address, Now: time.Now, Wait: wait, Authorize: func(r *http.Request) error {
			// Go takes this header along to other hosts.
			r.Header.Set("Private-Token", "hunter22")
			return nil
		},
	})
	require.NoError(t, err)
	return c
}

func get(t *testing.T, c *http.Client, address string) (*http.Response, error) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	response, err := c.Do(request)
	if err == nil {
		t.Cleanup(func() { require.NoError(t, response.Body.Close()) })
	}
	return response, err
}

// TestNoRedirectTakesCredentialsElsewhere has a forge that redirects to other servers.
func TestNoRedirectTakesCredentialsElsewhere(t *testing.T) {
	t.Parallel()
	reached := make(chan string, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.Header.Get("Private-Token") }))
	t.Cleanup(elsewhere.Close)
	var to string
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/there" {
			if r.Header.Get("Private-Token") == "" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			return
		}
		http.Redirect(w, r, to, http.StatusTemporaryRedirect)
	}))
	t.Cleanup(forge.Close)
	c := client(t, forge.URL, api.Sleep)
	for _, target := range []string{elsewhere.URL, strings.Replace(forge.URL, "http://", "https://", 1), strings.Replace(forge.URL, "127.0.0.1", "localhost", 1)} {
		to = target
		_, err := get(t, c, forge.URL) //nolint:bodyclose // The cleanup of get closes it.
		var refused *api.RedirectError
		require.ErrorAs(t, err, &refused, target)
		require.NotContains(t, api.Unreached(err), "hunter22")
	}
	_, err := get(t, c, elsewhere.URL) //nolint:bodyclose // The cleanup of get closes it.
	require.Error(t, err, "no request goes elsewhere")
	require.Empty(t, reached)

	to = "/there"
	response, err := get(t, c, forge.URL) //nolint:bodyclose // The cleanup of get closes it.
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "a repository that was renamed")
}

func TestWaitsAsAskedFor(t *testing.T) {
	t.Parallel()
	calls := 0
	after := "3"
	forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if calls++; calls == 1 {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}))
	t.Cleanup(forge.Close)
	var waited []time.Duration
	wait := func(_ context.Context, d time.Duration) error {
		waited = append(waited, d)
		return nil
	}
	response, err := get(t, client(t, forge.URL, wait), forge.URL) //nolint:bodyclose // The cleanup of get closes it.
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode)
	require.Equal(t, []time.Duration{3 * time.Second}, waited)

	calls, after, waited = 0, "3600", nil
	response, err = get(t, client(t, forge.URL, wait), forge.URL) //nolint:bodyclose // The cleanup of get closes it.
	require.NoError(t, err)
	require.Equal(t, time.Hour, api.RetryAfter(response, time.Now()), "that is for the caller to know, not to wait for")
	require.Empty(t, waited)

	calls, after = 0, "3"
	stopped := errors.New("the server stops")
	_, err = get(t, client(t, forge.URL, func(context.Context, time.Duration) error { return stopped }), forge.URL) //nolint:bodyclose // The cleanup of get closes it.
	require.ErrorIs(t, err, stopped)
}
