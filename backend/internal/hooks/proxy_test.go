package hooks_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/nginxtest"
)

func TestDeliveriesPassNginxAsInTheDocumentation(t *testing.T) {
	t.Parallel()
	b := newBench(t, "127.0.0.1/32")
	address, roots := nginxtest.Start(t, "hooks.example.com", b.serve(nil))
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			// Another address than the one of the proxy.
			return (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	post := func(r *http.Request, body io.Reader) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://hooks.example.com"+r.URL.Path, body)
		require.NoError(t, err)
		request.Header = r.Header
		response, err := transport.RoundTrip(request)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	liar := delivery(push)
	liar.Header.Set("X-Forwarded-For", "203.0.113.9")
	require.Equal(t, http.StatusAccepted, post(liar, strings.NewReader(push)))
	deliveries, _ := b.intake.got()
	require.Equal(t, "127.0.0.2", deliveries[0].Address, "what the sender claims to be is not believed")
	require.Equal(t, "203.0.113.9, 127.0.0.2", deliveries[0].Headers["X-Forwarded-For"])
	require.True(t, bytes.Equal([]byte(push), deliveries[0].Body), "the bytes are the same, since the signature covers them")

	largest := push[:len(push)-1] + `,"x":"` + strings.Repeat("x", 25<<20-len(push)-len(`,"x":""`)) + `"}`
	require.Len(t, largest, 25<<20)
	require.Equal(t, http.StatusAccepted, post(delivery(largest), strings.NewReader(largest)))
	// A body of unknown length comes in chunks.
	require.Equal(t, http.StatusAccepted, post(delivery(push), io.MultiReader(strings.NewReader(push))))
	forged := delivery(push)
	forged.Header.Set("X-Hub-Signature-256", "sha256="+sign("another"))
	require.Equal(t, http.StatusUnauthorized, post(forged, strings.NewReader(push)))
	elsewhere := delivery(push)
	elsewhere.URL.Path = "/metrics"
	require.Equal(t, http.StatusNotFound, post(elsewhere, strings.NewReader(push)))
}

func TestARealGiteaDelivers(t *testing.T) {
	t.Parallel()
	server := giteatest.Start(t)
	b := newBench(t)
	target := "http://" + b.serve(nil) + forge.Gitea.Path(path+"T")
	repository := server.Create("web")
	server.Hook(repository, target, secret, "json", "push", "create", "delete", "pull_request")
	server.Hook(repository, target+"x", secret, "json", "push")
	server.Hook(repository, target, "another secret", "form", "push")
	var made struct {
		Commit struct{ SHA string }
	}
	server.Call(http.MethodPost, "/repos/"+repository.FullName+"/contents/page.html", map[string]string{
		"content": "aGVsbG8=", "message": "Add a page", "branch": "main",
	}, &made)
	require.Eventually(t, func() bool {
		deliveries, refusals := b.intake.got()
		return len(deliveries) == 1 && len(refusals) == 1
	}, patience, 10*time.Millisecond)
	deliveries, refusals := b.intake.got()
	require.Equal(t, forge.SignatureInvalid, refusals[0].Reason)
	got := deliveries[0]
	require.Len(t, got.Signals, 1)
	require.Equal(t, "refs/heads/main", got.Signals[0].Ref)
	require.Equal(t, made.Commit.SHA, got.Signals[0].After)
	require.Equal(t, repository.ID, got.Signals[0].Repository.ID)
	require.NotEmpty(t, got.ID)
	for name := range got.Headers {
		require.NotContains(t, strings.ToLower(name), "signature")
	}

	server.Call(http.MethodPost, "/repos/"+repository.FullName+"/branches", map[string]string{"new_branch_name": "next"}, nil)
	server.Call(http.MethodDelete, "/repos/"+repository.FullName+"/branches/next", nil, nil)
	require.Eventually(t, func() bool {
		deliveries, _ := b.intake.got()
		for _, d := range deliveries {
			if d.Event == "delete" && len(d.Signals) == 1 && d.Signals[0].Ref == "refs/heads/next" {
				return true
			}
		}
		return false
	}, patience, 10*time.Millisecond, "the deletion of a branch")
}
