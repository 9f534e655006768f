package pipeline_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// parsers returns the parser of each kind of name, formatting what it read.
func parsers() map[string]func(string) (fmt.Stringer, error) {
	return map[string]func(string) (fmt.Stringer, error){
		"account":    func(s string) (fmt.Stringer, error) { return pipeline.ParseAccountName(s) },
		"pipeline":   func(s string) (fmt.Stringer, error) { return pipeline.ParsePipelineName(s) },
		"version":    func(s string) (fmt.Stringer, error) { return pipeline.ParseVersionName(s) },
		"stage":      func(s string) (fmt.Stringer, error) { return pipeline.ParseStageName(s) },
		"action":     func(s string) (fmt.Stringer, error) { return pipeline.ParseActionName(s) },
		"execution":  func(s string) (fmt.Stringer, error) { return pipeline.ParseExecutionName(s) },
		"rule":       func(s string) (fmt.Stringer, error) { return pipeline.ParseApprovalRuleName(s) },
		"connection": func(s string) (fmt.Stringer, error) { return pipeline.ParseConnectionName(s) },
		"token":      func(s string) (fmt.Stringer, error) { return pipeline.ParseTokenName(s) },
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 100)
	names := map[string][]string{
		"account":    {"accounts/dev", "accounts/a.b-c_D9", "accounts/" + long},
		"pipeline":   {"accounts/dev/pipelines/web", "accounts/dev/pipelines/a@b.c-d_e", "accounts/dev/pipelines/" + long, "accounts/dev/pipelines/-"},
		"version":    {"accounts/dev/pipelines/web/versions/1", "accounts/dev/pipelines/web/versions/9223372036854775807"},
		"stage":      {"accounts/dev/pipelines/web/stages/Build"},
		"action":     {"accounts/dev/pipelines/web/stages/Build/actions/Compile"},
		"execution":  {"accounts/dev/pipelines/web/executions/0193f2d0-3a52-7c4e-8f00-0123456789ab", "accounts/dev/pipelines/-/executions/x"},
		"rule":       {"accounts/dev/approvalRules/prod"},
		"connection": {"accounts/dev/connections/github", "accounts/dev/connections/git@example.com"},
		"token":      {"tokens/0193f2d0"},
	}
	for kind, parse := range parsers() {
		for _, name := range names[kind] {
			got, err := parse(name)
			require.NoError(t, err, name)
			require.Equal(t, name, got.String())
		}
		// A name of one kind is none of another.
		for other, list := range names {
			if other == kind {
				continue
			}
			for _, name := range list {
				_, err := parse(name)
				require.ErrorContains(t, err, "; write ", "%s as %s", name, kind)
			}
		}
		for _, name := range []string{"", "/", names[kind][0] + "/", "/" + names[kind][0], strings.ToUpper(names[kind][0])} {
			_, err := parse(name)
			require.Error(t, err, "%s as %s", name, kind)
		}
	}
}

func TestNameSegments(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"accounts//pipelines/web":                              "account is missing",
		"accounts/a@b/pipelines/web":                           `account "a@b" has '@' in it; use 1 to 100 of A-Z a-z 0-9 . _ -`,
		"accounts/dev/pipelines/":                              "pipeline is missing",
		"accounts/dev/pipelines/a b":                           `has ' ' in it; use 1 to 100 of A-Z a-z 0-9 . @ _ -`,
		"accounts/dev/pipelines/größe":                         `has 'ö' in it`,
		"accounts/dev/pipelines/.":                             "choose another",
		"accounts/../pipelines/web":                            "choose another",
		"accounts/dev/pipelines/" + strings.Repeat("x", 101):   "101 characters long",
		"accounts/dev/pipelines/web\x00":                       `has '\x00' in it`,
		"accounts/dev/pipelines/web/stages/Build/actions/Test": "; write accounts/{account}/pipelines/{pipeline}",
	} {
		_, err := pipeline.ParsePipelineName(name)
		require.ErrorContains(t, err, want, name)
	}
	for _, version := range []string{"0", "-1", "01", "+1", "x", "1.0", "9223372036854775808"} {
		_, err := pipeline.ParseVersionName("accounts/dev/pipelines/web/versions/" + version)
		require.Error(t, err, version)
	}
}

func TestCheckNames(t *testing.T) {
	t.Parallel()
	require.NoError(t, pipeline.CheckAccount("dev.eu-1_x"))
	require.Error(t, pipeline.CheckAccount("dev@eu"))
	require.Error(t, pipeline.CheckAccount(".."))
	require.NoError(t, pipeline.CheckPipeline("web@eu"))
	require.ErrorContains(t, pipeline.CheckPipeline("-"), "stands for any pipeline")
	require.Error(t, pipeline.CheckPipeline("web/eu"))
	require.NoError(t, pipeline.CheckApprovalRule("prod"))
	require.Error(t, pipeline.CheckApprovalRule(""))
}
