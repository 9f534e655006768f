package server_test

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

const (
	forgeToken  = "sentinel-token-of-the-forge-91"
	gitPassword = "sentinel-password-of-git-17"
)

// requestsTo keeps what a server is sent, as text.
type requestsTo struct {
	mu   sync.Mutex
	text strings.Builder
}

func (r *requestsTo) keep(request *http.Request) {
	// The body may be a stream that the server needs.
	dump, err := httputil.DumpRequest(request, false)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text.Write(dump)
	if err != nil {
		r.text.WriteString(err.Error())
	}
}

func (r *requestsTo) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// A server that redirects to another one makes neither a call of the API, a check, a poll nor a clone
// carry the credential there, whether the other server serves the repository or wants credentials.
func TestRedirectsTakeNoCredentialElsewhere(t *testing.T) {
	t.Parallel()
	for name, asks := range map[string]bool{"that serves": false, "that asks for credentials": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := gittest.NewHost(t)
			repository := host.Repository("acme/web")
			repository.Commit("main", nil)
			git := host.HTTP()
			var sent, leaked requestsTo
			elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				leaked.keep(r)
				if asks && r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				git.ServeHTTP(w, r)
			}))
			t.Cleanup(elsewhere.Close)
			// Another name of this machine is another host, too.
			target := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
			forge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				sent.keep(r)
				if r.Header.Get("Authorization") == "" {
					w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				http.Redirect(w, r, target+r.URL.RequestURI(), http.StatusTemporaryRedirect)
			}))
			t.Cleanup(forge.Close)

			b := backendtest.Start(t, backendtest.WithConfig(func(c *config.Config) { c.PollInterval = 50 * time.Millisecond }))
			c := b.Admin()
			for _, connection := range []*v1.CreateConnectionRequest{{
				Connection:  &v1.Connection{Name: client.ConnectionName("default", "gitea"), Type: &v1.Connection_Gitea{Gitea: &v1.GiteaConnection{Endpoint: forge.URL}}},
				Credentials: &v1.ConnectionCredentials{Token: proto.String(forgeToken)},
			}, {
				Connection:  &v1.Connection{Name: client.ConnectionName("default", "git"), Type: &v1.Connection_Git{Git: &v1.GitConnection{Endpoint: forge.URL, Username: "deploy"}}},
				Credentials: &v1.ConnectionCredentials{Password: proto.String(gitPassword)},
			}} {
				_, err := c.Connections.CreateConnection(t.Context(), connection)
				require.NoError(t, err)
				of := connection.GetConnection().GetName()
				checked, err := c.Connections.CheckConnection(t.Context(), &v1.CheckConnectionRequest{Name: of, Repository: "acme/web"})
				require.NoError(t, err)
				if connection.GetConnection().GetGitea() != nil {
					require.Contains(t, checked.String(), "redirects to", "the doctor says why")
				}

				pipeline := client.PipelineName("default", client.Segment(of, "connections"))
				_, err = c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: pipeline, Definition: &v1.PipelineDefinition{Stages: []*v1.Stage{
					{Name: "Source", Actions: []*v1.Action{{
						Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1", OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
						Configuration: map[string]string{"RepositoryUrl": "acme/web.git", "Branch": "main", "Connection": of, "DetectChanges": "true"},
					}}},
					{Name: "Agree", Actions: []*v1.Action{{Name: "Agree", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
				}}}})
				require.NoError(t, err)
				compared, err := c.Triggers.Backfill(t.Context(), &v1.BackfillRequest{Parent: pipeline})
				require.NoError(t, err)
				require.NotContains(t, compared.String(), "sentinel")
				started, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: pipeline})
				require.NoError(t, err)
				require.Eventually(t, func() bool {
					actions := read(t, b, started.GetExecution().GetName()).GetStages()[0].GetActions()
					return len(actions) == 1 && actions[0].GetEndTime() != nil
				}, time.Minute, 10*time.Millisecond)
			}
			for _, credential := range []string{forgeToken, gitPassword} {
				require.NotEqual(t, sent.String(), secret.Redact(sent.String(), credential), "the forge is sent its credential")
			}
			basic := []string{"x-access-token:" + forgeToken, "deploy:" + gitPassword}
			require.Equal(t, leaked.String(), secret.Redact(leaked.String(), append(basic, forgeToken, gitPassword)...), "another server is not")
			require.NotContains(t, leaked.String(), "Authorization")
			require.Contains(t, leaked.String(), "git-upload-pack", "git follows the redirect")
		})
	}
}
