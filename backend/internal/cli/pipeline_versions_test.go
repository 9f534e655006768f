package cli_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

func TestPipelineVersions(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	declare(t, b)
	fails := func(says string, args ...string) {
		t.Helper()
		got := headrace(t, b, b.AdminToken, args...)
		require.NotEqual(t, cli.ExitOK, got.code, got.stdout)
		require.Contains(t, got.stderr, says)
	}
	fails(`version 1 of pipeline "web" is its first`, "pipeline", "diff", "web")

	admin := b.Admin().Pipelines
	name := client.PipelineName("default", "web")
	read, err := admin.GetPipeline(t.Context(), &headracev1.GetPipelineRequest{Name: name})
	require.NoError(t, err)
	changed := read.GetPipeline()
	def := changed.GetDefinition()
	def.ExecutionMode = headracev1.ExecutionMode_EXECUTION_MODE_QUEUED
	def.Stages[1].Actions[0].RunOrder = 1
	def.Stages[1].Actions[0].Commands = []string{"cat greeting", "-- lint", "make"}
	def.Stages[3].Actions[0].EnvironmentVariables = append(def.Stages[3].Actions[0].EnvironmentVariables,
		&headracev1.EnvironmentVariable{Name: "REGION", Value: "eu\x1b[31m"})
	def.Stages = append(def.Stages[:2], def.Stages[3])
	_, err = admin.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{Pipeline: changed})
	require.NoError(t, err)

	listed := headrace(t, b, b.AdminToken, "pipeline", "versions", "web")
	require.Equal(t, cli.ExitOK, listed.code, listed.stderr)
	require.Regexp(t, `(?s)^VERSION +PUBLISHED +BY.*\n2 .* admin.*\n1 .* admin`, listed.stdout)

	got := headrace(t, b, b.AdminToken, "pipeline", "diff", "web")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, strings.TrimLeft(`
web: from version 1 to version 2
~ execution_mode: "SUPERSEDED" -> "QUEUED"
~ action Compile of stage Build
    commands:
       cat greeting
      -test "$WORD" != broken
      +-- lint
      +make
~ action Ship of stage Deploy
    environment_variables["REGION"]:
      +type: PLAINTEXT
      +value: eu[31m
- stage Approve
- action Ask of stage Approve (Approval/Headrace/Manual/1)
`, "\n"), got.stdout)
	back := headrace(t, b, b.AdminToken, "pipeline", "diff", "web", "2", "1")
	require.Contains(t, back.stdout, "from version 2 to version 1")
	require.Contains(t, back.stdout, "+ action Ask of stage Approve")
	require.Contains(t, back.stdout, "      --- lint\n")
	require.Contains(t, headrace(t, b, b.AdminToken, "pipeline", "diff", "web", "2", "2").stdout, "have no differences")

	document := headrace(t, b, b.AdminToken, "pipeline", "diff", "web", "-o", "json")
	var parsed struct {
		Changes []struct{ Kind, Block, Field string }
	}
	require.NoError(t, json.Unmarshal([]byte(document.stdout), &parsed))
	require.Equal(t, "DEFINITION_CHANGE_KIND_CHANGED", parsed.Changes[0].Kind)
	require.Len(t, parsed.Changes, 5)

	fails(`pipeline "web" has no version 9; its newest is 2`, "pipeline", "diff", "web", "9")
	fails(`"x" is not a version`, "pipeline", "diff", "web", "x")
	fails("--unpublished takes the place of the version TO", "pipeline", "diff", "web", "1", "2", "--unpublished")
	fails(`pipeline "web" is inline`, "pipeline", "diff", "web", "--unpublished")
	fails("does not exist", "pipeline", "diff", "wbe")
}
