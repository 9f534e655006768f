package server_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/nginxtest"
)

// A browser logs in through the proxy of operations.md, and gets what changes when it does.
func TestTheUIPassesNginxAsInTheDocumentation(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) {
		cfg.UIURL = "https://ci.example.com/headrace"
		require.NoError(t, cfg.TrustedProxies.Set("127.0.0.1"))
	}))
	const root = "https://ci.example.com/headrace"
	address, roots := nginxtest.Start(t, "ci.example.com", b.HTTPAddr)
	transport := &http.Transport{
		ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Transport: transport}
	code, page := fetch(t, c, root+"/accounts/default")
	require.Equal(t, http.StatusNotFound, code, "it does not ask for a page: %s", page)
	code, page = fetch(t, c, root+"/")
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, page, `<base href="/headrace/">`)
	for _, path := range []string{"/metrics", "/readyz", "/healthz"} {
		code, _ := fetch(t, c, root+path)
		require.Equal(t, http.StatusNotFound, code, "only those on the inside see %s", path)
	}

	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, root+"/session", strings.NewReader(`{"token": "`+b.AdminToken+`"}`))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Origin", "https://ci.example.com")
	resp, err := c.Do(request)
	require.NoError(t, err)
	var login struct{ Key string }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&login))
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, 2, resp.ProtoMajor, "one connection has all streams of a browser")
	cookie := resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value

	watch := connect.NewRequest(&v1.WatchAccountRequest{Parent: "accounts/default", Overview: true})
	watch.Header().Set("Cookie", cookie)
	watch.Header().Set("Headrace-Session-Key", login.Key)
	watch.Header().Set("Origin", "https://ci.example.com")
	stream, err := connect.NewClient[v1.WatchAccountRequest, v1.WatchAccountResponse](c, root+v1.WatchService_WatchAccount_FullMethodName).
		CallServerStream(t.Context(), watch)
	require.NoError(t, err)
	require.True(t, stream.Receive(), stream.Err())
	require.True(t, stream.Msg().GetSnapshot())
	_, err = b.Admin().Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
		Name: "accounts/default/pipelines/web", Composition: v1.Composition_COMPOSITION_COMPOSED, Definition: &v1.PipelineDefinition{},
	}})
	require.NoError(t, err)
	for len(stream.Msg().GetPipelines()) == 0 {
		require.True(t, stream.Receive(), stream.Err())
	}
	require.Equal(t, "accounts/default/pipelines/web", stream.Msg().GetPipelines()[0].GetName())
	require.NoError(t, stream.Close())
}
