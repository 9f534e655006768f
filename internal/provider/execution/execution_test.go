package execution_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/config"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/internal/provider/acctest"
)

const latest = "data.headrace_execution.latest"

func TestMain(m *testing.M) {
	acctest.Main(m)
}

func file(name string) func(config.TestStepConfigRequest) string {
	return config.StaticFile("testdata/" + name + ".tf")
}

func value(address, attribute string, check knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), check)
}

// TestExecutions reads nothing where nothing ran, and what ran afterwards, over a
// real repository and real commands.
func TestExecutions(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	url, commit := repository(t)
	variables := config.Variables{"repository": config.StringVariable(url)}
	stamp := knownvalue.StringRegexp(regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$`))
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("latest"), ConfigVariables: variables,
				ConfigStateChecks: []statecheck.StateCheck{
					value(latest, "id", knownvalue.Null()), value(latest, "status", knownvalue.Null()),
					value(latest, "stages", knownvalue.Null()), value(latest, "wait_reasons", knownvalue.Null()),
					value("data.headrace_execution.failed", "status", knownvalue.StringExact("Failed")),
					value("data.headrace_execution.failed", "id", knownvalue.Null()),
					value("data.headrace_executions.all", "executions", knownvalue.ListSizeExact(0)),
				},
			},
			{
				PreConfig: func() {
					run(t, backend, nil, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
				},
				ConfigFile: file("latest"), ConfigVariables: variables,
				ConfigStateChecks: []statecheck.StateCheck{
					value(latest, "status", knownvalue.StringExact("Succeeded")),
					value(latest, "number", knownvalue.Int64Exact(1)),
					value(latest, "pipeline_version", knownvalue.Int64Exact(1)),
					value(latest, "execution_type", knownvalue.StringExact("STANDARD")), value(latest, "attempt", knownvalue.Int64Exact(1)),
					value(latest, "rollback", knownvalue.Null()), value(latest, "wait_reasons", knownvalue.ListSizeExact(0)),
					value(latest, "started_at", stamp), value(latest, "finished_at", stamp),
					value(latest, "variables", knownvalue.MapExact(map[string]knownvalue.Check{"who": knownvalue.StringExact("world")})),
					value(latest, "trigger", knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"type": knownvalue.StringExact("StartPipelineExecution"), "principal": knownvalue.StringExact("admin"),
					})),
					value(latest, "source_revisions", knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"action": knownvalue.StringExact("Fetch"), "revision_id": knownvalue.StringExact(commit),
						"revision_summary": knownvalue.StringExact("Begin"), "author": knownvalue.StringExact("Ada <ada@example.com>"),
					})})),
					value(latest, "stages", knownvalue.ListSizeExact(2)),
					statecheck.ExpectKnownValue(latest, tfjsonpath.New("stages").AtSliceIndex(1), knownvalue.ObjectPartial(map[string]knownvalue.Check{
						"name": knownvalue.StringExact("Build"), "status": knownvalue.StringExact("Succeeded"),
						"started_at": stamp, "finished_at": stamp,
						"actions": knownvalue.ListExact([]knownvalue.Check{knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"name": knownvalue.StringExact("Compile"), "status": knownvalue.StringExact("Succeeded"),
							"attempt": knownvalue.Int64Exact(1), "error": knownvalue.Null(), "retried": knownvalue.Bool(false),
							"output_variables": knownvalue.MapExact(map[string]knownvalue.Check{"GREETING": knownvalue.StringExact("hello world")}),
						})}),
					})),
					value("data.headrace_execution.failed", "id", knownvalue.Null()),
				},
			},
			{
				PreConfig: func() {
					run(t, backend, map[string]string{"who": "nobody"}, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED)
				},
				ConfigFile: file("latest"), ConfigVariables: variables,
				ConfigStateChecks: []statecheck.StateCheck{
					value(latest, "status", knownvalue.StringExact("Failed")),
					value(latest, "status_summary", knownvalue.NotNull()),
					value("data.headrace_execution.failed", "number", knownvalue.Int64Exact(2)),
					statecheck.ExpectKnownValue("data.headrace_execution.failed",
						tfjsonpath.New("stages").AtSliceIndex(1).AtMapKey("actions").AtSliceIndex(0).AtMapKey("error"),
						knownvalue.ObjectPartial(map[string]knownvalue.Check{
							"code": knownvalue.StringExact("JobFailed"), "message": knownvalue.NotNull(),
						})),
					value("data.headrace_executions.all", "executions", knownvalue.ListExact([]knownvalue.Check{
						knownvalue.ObjectPartial(map[string]knownvalue.Check{"number": knownvalue.Int64Exact(2)}),
						knownvalue.ObjectPartial(map[string]knownvalue.Check{"number": knownvalue.Int64Exact(1)}),
					})),
					value("data.headrace_executions.newest", "executions", knownvalue.ListExact([]knownvalue.Check{
						knownvalue.ObjectPartial(map[string]knownvalue.Check{"number": knownvalue.Int64Exact(2)}),
					})),
					value("data.headrace_executions.failed", "executions", knownvalue.ListSizeExact(1)),
				},
			},
		},
	})
}

// TestByID reads an execution by its id, which may be the second newest, and
// fails where there is none of it.
func TestByID(t *testing.T) {
	t.Parallel()
	backend := acctest.Start(t)
	url, _ := repository(t)
	pipeline := &headracev1.Pipeline{
		Name: "accounts/default/pipelines/web", Composition: headracev1.Composition_COMPOSITION_INLINE,
		Definition: &headracev1.PipelineDefinition{Stages: []*headracev1.Stage{
			{Name: "Source", Actions: []*headracev1.Action{{
				Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration:   map[string]string{"RepositoryUrl": url, "Branch": "main"},
				OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			}}},
			{Name: "Build", Actions: []*headracev1.Action{{
				Name: "Compile", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{"true"},
			}}},
		}},
	}
	_, err := backend.API.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: pipeline})
	require.NoError(t, err)
	first := run(t, backend, nil, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	run(t, backend, nil, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	with := func(id string) config.Variables { return config.Variables{"id": config.StringVariable(id)} }
	resource.Test(t, resource.TestCase{
		ProtoV6ProviderFactories: backend.Provider(),
		Steps: []resource.TestStep{
			{
				ConfigFile: file("by_id"), ConfigVariables: with(first),
				ConfigStateChecks: []statecheck.StateCheck{
					value("data.headrace_execution.one", "number", knownvalue.Int64Exact(1)),
				},
			},
			{
				ConfigFile: file("by_id"), ConfigVariables: with("00000000-0000-0000-0000-000000000000"),
				ExpectError: acctest.Says(`Cannot read the execution of pipeline "web"`),
			},
		},
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"missing_pipeline": `"missing"`,
		"wrong_status":     `Attribute status value must be one of:`,
	}
	for name, says := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			resource.Test(t, resource.TestCase{
				ProtoV6ProviderFactories: acctest.Start(t).Provider(),
				Steps:                    []resource.TestStep{{ConfigFile: file(name), ExpectError: acctest.Says(says)}},
			})
		})
	}
}

// run starts an execution and waits for its end.
func run(t *testing.T, backend *acctest.Backend, variables map[string]string, want headracev1.ExecutionStatus) string {
	t.Helper()
	started, err := backend.API.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{
		Pipeline: "accounts/default/pipelines/web", Variables: variables,
	})
	require.NoError(t, err)
	ends(t, backend, started.GetExecution().GetName(), want)
	return started.GetExecution().GetId()
}

// ends waits for the end of an execution.
func ends(t *testing.T, backend *acctest.Backend, name string, want headracev1.ExecutionStatus) {
	t.Helper()
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		found, err := backend.API.Executions.GetExecution(t.Context(), &headracev1.GetExecutionRequest{Name: name})
		require.NoError(c, err)
		require.Equal(c, want, found.GetExecution().GetStatus(), found.GetExecution().GetStatusSummary())
	}, time.Minute, 50*time.Millisecond)
}

// repository makes a git repository with one commit, whose id it returns too.
func repository(t *testing.T) (url, commit string) {
	t.Helper()
	dir := t.TempDir()
	git := func(args ...string) string {
		command := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
		command.Env = append(os.Environ(),
			"GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull,
			"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.com",
			"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.com")
		output, err := command.CombinedOutput()
		require.NoErrorf(t, err, "git %v: %s", args, output)
		return string(output)
	}
	git("init", "--quiet", "--initial-branch=main")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "README"), []byte("hello\n"), 0o600))
	git("add", "README")
	git("commit", "--quiet", "--message=Begin")
	return "file://" + dir, git("rev-parse", "HEAD")[:40]
}
