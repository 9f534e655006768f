package git_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// TestUnfetched holds that submodules and LFS objects that an artifact lacks are named, those of
// submodules too, and that nothing else is.
func TestUnfetched(t *testing.T) {
	t.Parallel()
	host, server, repository := private(t)
	deep := host.Repository("acme/deep")
	deep.Commit("main", map[string]string{"README": "deep\n"})
	library := host.Repository("acme/lib")
	library.Make(gittest.Commit{Branch: "main", Files: map[string]string{
		".gitattributes": attributes, "deep.bin": pointer("deep"),
	}, Submodules: map[string]string{"deep": deep.Head("refs/heads/main")}})
	many := map[string]string{
		".gitattributes": "docs/** filter=lfs\n", "docs/real.bin": "stored as it is\n", "docs/empty.bin": "",
		"docs/long.bin": pointer("long") + strings.Repeat("x", 2000), "example.txt": pointer("an example"),
		"web/.gitattributes": "*.bin filter=lfs\n",
		".gitmodules":        "[submodule \"lib\"]\n\tpath = vendor/lib\n\turl = ../lib.git\n",
	}
	for i := range 11 {
		many[fmt.Sprintf("web/%02d ü.bin", i)] = pointer(fmt.Sprint(i))
	}
	repository.Make(gittest.Commit{Branch: "main", Files: many, Submodules: map[string]string{"vendor/lib": library.Head("refs/heads/main")}})
	repository.Make(gittest.Commit{Branch: "whole", Files: map[string]string{".gitattributes": attributes, "real.bin": "real\n"}})
	bench := runnertest.Start(t, git.New(), with(connections{"acme/web": remoteOf(server, repository)}))
	const (
		pointers = `Git LFS pointers without the content: "web/00 ü.bin", "web/01 ü.bin", "web/02 ü.bin", "web/03 ü.bin", "web/04 ü.bin", ` +
			`"web/05 ü.bin", "web/06 ü.bin", "web/07 ü.bin", "web/08 ü.bin", "web/09 ü.bin" and `
		withLFS = `; to fetch them, set LFS = "true" in the configuration of the action`
	)
	for name, test := range map[string]struct {
		configuration map[string]string
		// remarks have the advice of the log after a bar.
		remarks []string
	}{
		"nothing": {map[string]string{"Branch": "main"}, []string{
			`1 submodule was not fetched: "vendor/lib"|; to fetch them, set Submodules = "true" in the configuration of the action`,
			"11 files are " + pointers + "1 more|" + withLFS,
		}},
		"clone": {map[string]string{"Branch": "main", "OutputArtifactFormat": "CODEBUILD_CLONE_REF"}, []string{
			`1 submodule was not fetched: "vendor/lib"|; to fetch them, set Submodules = "true" in the configuration of the action`,
			"11 files are " + pointers + "1 more|" + withLFS,
		}},
		"submodules": {map[string]string{"Branch": "main", "Submodules": "true"}, []string{
			`1 submodule was not fetched: "vendor/lib/deep"|; .gitmodules does not declare them`,
			"12 files are " + pointers + "2 more|" + withLFS,
		}},
		"whole": {map[string]string{"Branch": "whole"}, nil},
	} {
		a := through("acme/web", test.configuration)
		a.ActionExecutionID = name
		result, log := bench.Run(t, a)
		require.Nil(t, result.Failure, "%s: %s", name, log)
		summary := fmt.Sprintf("fetched %s (branch %q)", result.Revision.ID, test.configuration["Branch"])
		warnings := ""
		for _, remark := range test.remarks {
			remark, advice, _ := strings.Cut(remark, "|")
			summary += "; " + remark
			warnings += "Warning: " + remark + advice + "\n"
		}
		require.Equal(t, summary, result.Summary, name)
		require.True(t, strings.HasSuffix(log, warnings), "%s: %s", name, log)
		require.Equal(t, len(test.remarks), strings.Count(log, "Warning:"), "%s: %s", name, log)
	}
}
