package server_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

const (
	oauthToken  = "sentinel-oauth-4be2a7c0"
	secondToken = "sentinel-oauth-second-11"
)

// withToken returns a definition whose source has a token.
func withToken(token string) *v1.PipelineDefinition {
	return &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Fetch", Category: "Source", Owner: "ThirdParty", Provider: "GitHub", Version: "1", Namespace: "git",
			Configuration:   map[string]string{"Owner": "acme", "Repo": "web", "Branch": "main", "OAuthToken": token},
			OutputArtifacts: []*v1.OutputArtifact{{Name: "source"}},
		}}},
		{Name: "Agree", Actions: []*v1.Action{{Name: "Agree", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1"}}},
	}}
}

func tokenOf(d *v1.PipelineDefinition) string {
	return d.GetStages()[0].GetActions()[0].GetConfiguration()["OAuthToken"]
}

// safeBuffer is a buffer that several goroutines write to.
type safeBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *safeBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *safeBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

// TestTokenInAConfigurationIsSealed holds that a secret value of a configuration works, stays the
// same over updates that do not change it, and is nowhere: in no answer, event, log, error or
// file of the server.
func TestTokenInAConfigurationIsSealed(t *testing.T) {
	t.Parallel()
	host := gittest.NewHost(t)
	forge := host.HTTP()
	forge.Allow("x-access-token", oauthToken)
	repository := host.Repository("acme/web")
	head := repository.Commit("main", map[string]string{"README": "web\n"})
	log := &safeBuffer{}
	b := backendtest.Start(t, backendtest.WithGitHub(forge.Base()), func(_ *config.Config, options *server.Options) {
		options.Log = hclog.New(&hclog.LoggerOptions{Level: hclog.Trace, Output: log})
	})
	c := b.Admin()
	var answers strings.Builder
	show := func(message proto.Message, err error) {
		t.Helper()
		require.NoError(t, err)
		answers.WriteString(prototext.Format(message))
	}
	name := client.PipelineName("default", "web")
	dry, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: withToken(oauthToken)}, ValidateOnly: true})
	show(dry, err)
	require.NoFileExists(t, filepath.Join(b.DataDir, "secrets.key"), "a check makes no key")
	created, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: withToken(oauthToken)}})
	show(created, err)
	require.Equal(t, "SECRET_IN_CONFIGURATION", created.GetWarnings()[0].GetReason())
	require.Contains(t, created.GetWarnings()[0].GetMessage(), "headrace_connection")
	reference := tokenOf(created.GetPipeline().GetDefinition())
	require.Regexp(t, `^sealed:v1:[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$`, reference)

	for what, token := range map[string]string{"the value": oauthToken, "its reference": reference} {
		updated, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: withToken(token)}})
		show(updated, err)
		require.EqualValues(t, 1, updated.GetPipeline().GetVersion(), "%s makes no version", what)
		require.Equal(t, reference, tokenOf(updated.GetPipeline().GetDefinition()), what)
	}
	run := func() *v1.Execution {
		started, err := c.Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: name})
		show(started, err)
		var execution *v1.Execution
		require.Eventually(t, func() bool {
			execution = read(t, b, started.GetExecution().GetName())
			actions := execution.GetStages()[0].GetActions()
			return len(actions) == 1 && actions[0].GetEndTime() != nil
		}, time.Minute, 10*time.Millisecond)
		show(execution, nil)
		watch, err := c.Executions.WatchExecution(t.Context(), &v1.WatchExecutionRequest{Name: execution.GetName()})
		require.NoError(t, err)
		first, err := watch.Recv()
		show(first, err)
		tail, err := c.Executions.TailLog(t.Context(), &v1.TailLogRequest{Name: execution.GetName(), ActionExecutionId: execution.GetStages()[0].GetActions()[0].GetId()})
		require.NoError(t, err)
		for part, err := tail.Recv(); err == nil; part, err = tail.Recv() {
			answers.Write(part.GetData())
		}
		return execution
	}
	fetched := run().GetStages()[0].GetActions()[0]
	require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, fetched.GetStatus(), fetched.GetError().GetMessage())
	require.Equal(t, head, fetched.GetOutputVariables()["CommitId"])
	require.Equal(t, reference, fetched.GetResolvedConfiguration()["OAuthToken"])

	// Another token is another version, and the forge refuses it.
	updated, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: withToken(secondToken)}})
	show(updated, err)
	require.EqualValues(t, 2, updated.GetPipeline().GetVersion())
	refused := run().GetStages()[0].GetActions()[0]
	require.Equal(t, "PermissionError", refused.GetError().GetCode(), refused.GetError().GetMessage())
	versions, err := c.Pipelines.ListPipelineVersions(t.Context(), &v1.ListPipelineVersionsRequest{Parent: name})
	show(versions, err)
	require.Len(t, versions.GetVersions(), 2)

	// The reference is worth nothing elsewhere, and a mask is not a token.
	for token, wants := range map[string]string{
		reference: "the reference of a secret value that the pipeline does not hold", "****": "a mask", "#{variables.token}": "cannot refer to variables", "sentinel oauth": "spaces",
	} {
		for _, call := range []func() error{
			func() error {
				_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: client.PipelineName("default", "other"), Definition: withToken(token)}})
				return err
			},
			func() error {
				if token == reference {
					return nil
				}
				_, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: withToken(token)}})
				return err
			},
		} {
			if err := call(); err != nil {
				require.ErrorContains(t, err, wants)
				answers.WriteString(err.Error())
			} else {
				require.Equal(t, reference, token)
			}
		}
	}
	b.Stop()
	require.NotContains(t, answers.String(), "sentinel")
	require.NotContains(t, log.String(), "sentinel")
	require.NoError(t, filepath.WalkDir(b.DataDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		require.False(t, bytes.Contains(text, []byte("sentinel")), path)
		return err
	}))
}

// TestTokenOfAComposedPipelineIsSealed is the same of an action that is an object of its own.
func TestTokenOfAComposedPipelineIsSealed(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t, backendtest.WithGitHub("http://127.0.0.1:1"))
	c := b.Admin()
	name := client.PipelineName("default", "web")
	_, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: &v1.PipelineDefinition{}}})
	require.NoError(t, err)
	whole := withToken(oauthToken)
	for i, stage := range whole.GetStages() {
		_, err = c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{
			Name: name + "/stages/" + stage.GetName(), Order: int32(i + 1),
		}})
		require.NoError(t, err)
		action := stage.GetActions()[0]
		created, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{
			Name: name + "/stages/" + stage.GetName() + "/actions/" + action.GetName(), Action: action,
		}})
		require.NoError(t, err)
		require.NotContains(t, prototext.Format(created), "sentinel")
	}
	action := whole.GetStages()[0].GetActions()[0]
	path := name + "/stages/Source/actions/Fetch"
	for range 2 {
		_, err = c.Pipelines.UpdateAction(t.Context(), &v1.UpdateActionRequest{Action: &v1.PipelineAction{Name: path, Action: action}})
		require.NoError(t, err)
	}
	got, err := c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: name})
	require.NoError(t, err)
	require.EqualValues(t, 1, got.GetPipeline().GetVersion())
	require.Regexp(t, `^sealed:v1:[^:]+:[^:]+$`, tokenOf(got.GetPipeline().GetDefinition()))
	b.Stop()
	database, err := os.ReadFile(filepath.Join(b.DataDir, "headrace.db"))
	require.NoError(t, err)
	require.NotContains(t, string(database), "sentinel")
}
