package access_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/connection"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// issuer stands for GitHub in the test of what tokens are for, so that this runs without the
// description of its API that githubtest needs. It issues tokens and notes what they are for.
type issuer struct {
	t   *testing.T
	now func() time.Time

	mu     sync.Mutex
	issued []string
	// used are the tokens of calls about hooks.
	used []string
}

// ServeHTTP implements http.Handler.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if !strings.HasSuffix(r.URL.Path, "/access_tokens") {
		i.used = append(i.used, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		_, err := fmt.Fprint(w, "[]")
		assert.NoError(i.t, err)
		return
	}
	var asked struct {
		Repositories []string          `json:"repositories"`
		Permissions  map[string]string `json:"permissions"`
	}
	assert.NoError(i.t, json.NewDecoder(r.Body).Decode(&asked))
	i.issued = append(i.issued, fmt.Sprint(asked.Repositories, asked.Permissions))
	w.WriteHeader(http.StatusCreated)
	assert.NoError(i.t, json.NewEncoder(w).Encode(map[string]any{"token": fmt.Sprintf("token %d", len(i.issued)), "expires_at": i.now().Add(time.Hour)}))
}

// TestTokensAreForOneRepositoryAndUse holds that a token which was issued for one repository or use
// is not taken for another.
func TestTokensAreForOneRepositoryAndUse(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	i := &issuer{t: t, now: b.clock}
	server := httptest.NewServer(i)
	t.Cleanup(server.Close)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	b.create("github", pipeline.Connection{
		Type: pipeline.ConnectionGitHubApp, Endpoint: server.URL, AppID: "app", InstallationID: 1,
	}, map[connection.CredentialName]string{
		connection.AppPrivateKey: string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	})
	r := b.resolver()
	fetch := func(repository string) string {
		remote, err := r.Git(t.Context(), "a", "github", repository)
		require.NoError(t, err)
		return remote.Password
	}
	require.Equal(t, "token 1", fetch("acme/web"))
	require.Equal(t, "token 2", fetch("acme/shop"))
	forge, err := r.Forge(t.Context(), "a", "github")
	require.NoError(t, err)
	for range 2 {
		_, err = forge.Hooks(t.Context(), "acme/web")
		require.NoError(t, err)
	}
	require.Equal(t, "token 1", fetch("Acme/Web.git"))
	require.Equal(t, []string{"token 3", "token 3"}, i.used)
	require.Equal(t, []string{
		"[web] map[contents:read metadata:read]", "[shop] map[contents:read metadata:read]", "[web] map[metadata:read repository_hooks:read]",
	}, i.issued)
}
