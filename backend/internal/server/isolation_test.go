package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

// withoutBubblewrap returns a PATH that lacks bubblewrap.
func withoutBubblewrap(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, program := range []string{"cat", "git", "sh"} {
		path, err := exec.LookPath(program)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(dir, program)))
	}
	return dir
}

// sourceAndBuild is a pipeline that fetches a repository and runs an action.
func sourceAndBuild(url string, build *v1.Action) *v1.PipelineDefinition {
	return &v1.PipelineDefinition{Stages: []*v1.Stage{
		{Name: "Source", Actions: []*v1.Action{{
			Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
			Configuration:   map[string]string{"RepositoryUrl": url, "Branch": "main"},
			OutputArtifacts: []*v1.OutputArtifact{{Name: "src"}},
		}}},
		{Name: "Build", Actions: []*v1.Action{build}},
	}}
}

// ended runs a pipeline and returns its execution, whose source succeeded.
func ended(t *testing.T, b *backendtest.Backend, pipeline string) *v1.Execution {
	t.Helper()
	started, err := b.Admin().Executions.StartExecution(t.Context(), &v1.StartExecutionRequest{Pipeline: pipeline})
	require.NoError(t, err)
	var e *v1.Execution
	require.Eventually(t, func() bool {
		e = read(t, b, started.GetExecution().GetName())
		return e.GetEndTime() != nil
	}, time.Minute, 10*time.Millisecond)
	require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStages()[0].GetStatus(), "git needs no isolation")
	return e
}

// Without bubblewrap a deployer of any account read the admin's token by a command.
func TestCommandsThatCannotBeIsolatedFail(t *testing.T) {
	host := gittest.NewHost(t)
	forge := host.HTTP()
	repository := host.Repository("acme/web")
	repository.Commit("main", map[string]string{"README": "web\n"})
	t.Setenv("PATH", withoutBubblewrap(t))
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) { cfg.Isolation = "auto" }))
	info, err := b.Client("").Server.GetServerInfo(t.Context(), &v1.GetServerInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, "unavailable", info.GetIsolation())

	commands := []string{"cat " + filepath.Join(b.DataDir, "admin.token")}
	steal := &v1.Action{Name: "Steal", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", Commands: commands}
	definition := sourceAndBuild(forge.URL(repository), steal)
	const why = "commands cannot be isolated on this server"
	warned := func(warnings []*v1.Warning, field, message string) {
		t.Helper()
		require.Len(t, warnings, 1)
		require.Equal(t, "NOT_ISOLATED", warnings[0].GetReason())
		require.Equal(t, field, warnings[0].GetField())
		require.Contains(t, warnings[0].GetMessage(), message)
		require.Contains(t, warnings[0].GetMessage(), why)
	}
	c := b.Admin()
	create := func(name string, validateOnly bool) []*v1.Warning {
		created, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{
			Pipeline: &v1.Pipeline{Name: client.PipelineName("default", name), Definition: definition}, ValidateOnly: validateOnly,
		})
		require.NoError(t, err)
		return created.GetWarnings()
	}
	// This is what a plan asks.
	warned(create("action", true), "pipeline.definition.stages[1].actions[0]", `"Steal" runs commands, so it fails: `)
	create("action", false)
	definition.Stages[1].BeforeEntry = &v1.Condition{Result: "FAIL", Rules: []*v1.Rule{{Name: "Look", Provider: "Commands", Commands: commands}}}
	warned(create("rule", false), "pipeline.definition.stages[1].actions[0]", "so it and 1 more actions and rules fail: ")
	warnedPart, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{
		Name: client.PipelineName("default", "parts"), Definition: &v1.PipelineDefinition{}, Composition: v1.Composition_COMPOSITION_COMPOSED,
	}})
	require.NoError(t, err)
	require.Empty(t, warnedPart.GetWarnings())
	const stage = "accounts/default/pipelines/parts/stages/Build"
	_, err = c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{Name: stage, Order: 1}})
	require.NoError(t, err)
	part, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{Name: stage + "/actions/Steal", Action: steal}})
	require.NoError(t, err)
	warned(part.GetWarnings(), "action", "runs commands")

	failed := ended(t, b, client.PipelineName("default", "action")).GetStages()[1].GetActions()[0].GetError()
	require.Equal(t, "ConfigurationError", failed.GetCode())
	require.Contains(t, failed.GetMessage(), why)
	require.Contains(t, failed.GetMessage(), "--isolation none")
	rule := ended(t, b, client.PipelineName("default", "rule")).GetStages()[1].GetConditions()[0].GetRules()[0]
	require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_FAILED, rule.GetStatus())
	require.Contains(t, rule.String(), why)
}

// Anyone who says so has commands run without isolation.
func TestCommandsRunWithoutIsolationIfThatWasChosen(t *testing.T) {
	host := gittest.NewHost(t)
	forge := host.HTTP()
	repository := host.Repository("acme/web")
	repository.Commit("main", map[string]string{"README": "web\n"})
	t.Setenv("PATH", withoutBubblewrap(t))
	b := backendtest.Start(t, backendtest.WithConfig(func(cfg *config.Config) { cfg.Isolation = "none" }))
	c := b.Admin()
	name := client.PipelineName("default", "web")
	created, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: name, Definition: sourceAndBuild(
		forge.URL(repository), &v1.Action{Name: "Look", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{"true"}},
	)}})
	require.NoError(t, err)
	require.Empty(t, created.GetWarnings())
	require.Equal(t, v1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, ended(t, b, name).GetStatus())
}
