package casetest

import (
	"crypto/rand"
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/servertest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/secret"
)

// TestCredentialsAreNowhere uses a credential of every kind with real parts: the token of a real
// Gitea and a key of sshd by connections, a secret of an action, the secrets of a hook that the server
// manages and of a generic webhook, and the token of CodePipeline's first source for GitHub. It then
// looks for each, in every form that a program may give it, in all that Terraform, the server and its
// processes leave and show.
func TestCredentialsAreNowhere(t *testing.T) {
	t.Parallel()
	programs := build(t)
	gitea := giteatest.Start(t)
	repository := gitea.Create("web")
	host := gittest.NewHost(t)
	ssh := host.SSH()
	library := host.Repository("acme/lib")
	library.Make(gittest.Commit{Branch: "main", Message: "First", Files: map[string]string{"lib/README": "lib\n"}})
	library.SetDefault("main")
	sshURL, err := url.Parse(ssh.URL(library))
	require.NoError(t, err)

	token, value := gitea.NewToken("headrace", "all"), "sentinel/secret-"+rand.Text()+"?&"
	hookSecret, bearer, oauth := "sentinel/hook-"+rand.Text(), "sentinel-bearer-"+rand.Text(), "sentinel-oauth-"+rand.Text()
	credentials := []string{token, value, hookSecret, bearer, oauth}
	for line := range strings.Lines(string(ssh.Key())) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "-----") && len(line) > 40 {
			credentials = append(credentials, line)
		}
	}
	require.Greater(t, len(credentials), 5, "the key has lines")

	work, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	require.NoError(t, os.CopyFS(work, os.DirFS(filepath.Join("testdata", "credentials"))))
	// Curl is given the token by a file that is not part of what is read.
	require.NoError(t, os.WriteFile(filepath.Join(work, "event.curl"), []byte("header = \"Authorization: Bearer "+bearer+"\"\nheader = \"Content-Type: application/json\"\ndata = \"{}\"\n"), 0o600))
	library.Git("clone", "-q", library.Dir, filepath.Join(work, "library"))
	address := servertest.FreeAddress(t)
	// Nothing may reach GitHub itself, whose proxy is closed.
	server := startServer(t, programs, data, []string{"https_proxy=http://127.0.0.1:1"},
		"--hooks-listen", address, "--public-url", "http://"+address, "--poll-interval", "1s")
	api := dial(t, server)
	_, err = api.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: oldPipeline(oauth)})
	require.NoError(t, err)

	command := script(t, programs, work, server.endpoint, server.token(t), "run.sh")
	command.Env = append(command.Env,
		"TF_VAR_token="+token, "TF_VAR_key="+string(ssh.Key()), "TF_VAR_secret="+value, "TF_VAR_hook_secret="+hookSecret, "TF_VAR_bearer="+bearer,
		"TF_VAR_gitea="+gitea.URL, "TF_VAR_ssh=ssh://"+sshURL.User.Username()+"@"+sshURL.Host, "TF_VAR_known_hosts="+ssh.KnownHosts(),
		"TF_VAR_ssh_repository="+strings.TrimPrefix(sshURL.Path, "/"), "GITEA_CLONE="+gitea.Authorized(repository))
	processes := watchProcesses(observed{
		credentials: credentials, server: server.command.Process.Pid, directories: []string{filepath.Join(data, "work"), filepath.Join(data, "mirrors")},
		// Git and the command are given their credential by these variables.
		given: map[string][]string{"HEADRACE_GIT_PASSWORD": {token, oauth}, "TOKEN": {value}},
	})
	output, err := command.CombinedOutput()
	seen := processes.stop()
	require.NoError(t, err, "%s", secret.Redact(string(output), credentials...))
	require.Empty(t, seen.found)
	requireWithout(t, "the output of the script", string(output), credentials...)
	require.Positive(t, seen.children, "processes of the server were looked at")
	require.Positive(t, seen.given, "git or a command had its credential")
	require.Positive(t, seen.configurations, "settings of repositories were looked at")

	returned := crawl(t, api)
	for _, kind := range []string{"/pipelines/old", "/connections/ssh", "/secrets/deploy", "/webhooks/gitea", "/deliveries/", "/triggers/lib", "/executions/"} {
		require.Contains(t, returned.text.String(), kind, "the API returns it")
	}
	requireWithout(t, "what the API returns", returned.text.String(), credentials...)
	require.Contains(t, returned.text.String(), "sealed:v1:", "the API returned the pipeline with a token")
	server.stop(t)
	require.NoError(t, os.Remove(filepath.Join(work, "event.curl")))
	// The clone of the test's own has Gitea's other token in its address.
	require.NoError(t, os.RemoveAll(filepath.Join(work, "source")))

	require.Contains(t, read(t, filepath.Join(work, "show.log")), "deploys with ****\n")
	files := requireFilesWithout(t, []string{work, filepath.Dir(server.log), data}, credentials...)
	require.Greater(t, files, 50)
}

// oldPipeline has CodePipeline's first source for GitHub, with a token in its configuration.
func oldPipeline(oauth string) *headracev1.Pipeline {
	return &headracev1.Pipeline{Name: client.PipelineName("default", "old"), Definition: &headracev1.PipelineDefinition{Stages: []*headracev1.Stage{
		{Name: "Source", Actions: []*headracev1.Action{{
			Name: "Fetch", Category: "Source", Owner: "ThirdParty", Provider: "GitHub", Version: "1", OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			Configuration: map[string]string{"Owner": "acme", "Repo": "web", "Branch": "main", "OAuthToken": oauth, "PollForSourceChanges": "false"},
		}}},
		{Name: "Agree", Actions: []*headracev1.Action{{Name: "Agree", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
	}}}
}

func dial(t *testing.T, server *realServer) *client.Client {
	t.Helper()
	c, err := client.Dial(client.Config{Endpoint: server.endpoint, Token: server.token(t)}, "casetest")
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// crawled is what all methods that only read return.
type crawled struct {
	text  strings.Builder
	names []string
}

// crawl calls every method that lists, gets or explains, with every name that another one returned.
func crawl(t *testing.T, api *client.Client) *crawled {
	t.Helper()
	c := &crawled{names: []string{"accounts/default"}}
	reads := slices.DeleteFunc(client.Methods(), func(method string) bool {
		return !strings.HasPrefix(method, "List") && !strings.HasPrefix(method, "Get") && !strings.HasPrefix(method, "Explain")
	})
	require.Greater(t, len(reads), 20)
	for n := 0; n < len(c.names); n++ {
		for _, method := range reads {
			for _, field := range []string{"name", "parent"} {
				request, err := json.Marshal(map[string]string{field: c.names[n]})
				require.NoError(t, err)
				// Most names are of another kind than the method is about, and errors are answers, too.
				if err := api.Call(t.Context(), method, request, c.keep); err != nil {
					c.text.WriteString(err.Error() + "\n")
				}
			}
		}
	}
	return c
}

var resourceName = regexp.MustCompile(`"(accounts/[^"]+)"`)

// keep keeps an answer and the names in it.
func (c *crawled) keep(answer proto.Message) error {
	text, err := protojson.Marshal(answer)
	c.text.Write(text)
	for _, found := range resourceName.FindAllSubmatch(text, -1) {
		if name := string(found[1]); !slices.Contains(c.names, name) {
			c.names = append(c.names, name)
		}
	}
	return err
}
