package webtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
)

const (
	// report is a page that must not run on the origin of the web UI.
	report = "<!doctype html><script>window.pwned=1</script>\n"
	// manyFiles is more than the web UI shows at once.
	manyFiles = 1_250
)

// Files of an artifact are found by their path and downloaded one by one or as a tar. A download is
// cancelled, and nothing is saved of an artifact that is damaged or was removed by retention.
func TestDownloadArtifact(t *testing.T) {
	t.Parallel()
	b := findBrowser(t)
	s := newSite(t, func(cfg *config.Config) { cfg.RetentionCount = 1 })
	removed := s.seedFiles().GetName()
	execution := s.awaitStatus(s.start("files"), headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
	_, err := s.admin.Retention.ApplyRetention(t.Context(), &headracev1.ApplyRetentionRequest{})
	require.NoError(t, err)
	artifacts := make(map[string]*headracev1.Artifact)
	for _, made := range execution.GetStages()[1].GetActions()[0].GetOutputArtifacts() {
		artifacts[made.GetName()] = made
	}
	digest := artifacts["app"].GetDigest()
	script := b.start(t, "artifact.mjs", map[string]any{
		"url": "http://" + s.HTTPAddr, "token": s.viewer(), "execution": "/" + execution.GetName(), "removed": "/" + removed,
		"report": report, "many": manyFiles, "digest": digest, "tarSize": artifacts["app"].GetSizeBytes(),
	})
	script.hear("downloaded")
	path := filepath.Join(s.DataDir, "artifacts", digest[:2], digest[2:])
	stored, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.Chmod(path, 0o600))
	stored[len(stored)/2] ^= 1
	require.NoError(t, os.WriteFile(path, stored, 0o600))
	script.say("damaged")
	script.wait()
}

// seedFiles returns an execution that made artifacts: app of a few files, odd of files with hostile
// names, many of many files.
func (s *site) seedFiles() *headracev1.Execution {
	s.t.Helper()
	dir := filepath.Join(s.t.TempDir(), "files")
	write := func(text string, path ...string) {
		s.t.Helper()
		file := filepath.Join(append([]string{dir}, path...)...)
		require.NoError(s.t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(s.t, os.WriteFile(file, []byte(text), 0o600))
	}
	write(report, "app", "report.html")
	write("", "app", "empty.txt")
	write(strings.Repeat("headrace\n", 1<<20), "app", "bin", "server")
	require.NoError(s.t, os.Symlink("server", filepath.Join(dir, "app", "bin", "latest")))
	write("odd\n", "odd", strings.ReplaceAll(hostile, "/", "\n")+".html")
	write("long\n", "odd", strings.Repeat("a", 250), strings.Repeat("b", 250), strings.Repeat("c", 250), strings.Repeat("d", 250))
	write("bytes\n", "odd", "not UTF-8 \xff\xfe")
	for n := range manyFiles {
		write("", "many", fmt.Sprintf("file-%04d", n))
	}
	build := commands("Build", "Make", 1, "cp -a "+dir+"/. .")
	for _, name := range []string{"app", "odd", "many"} {
		build.OutputArtifacts = append(build.OutputArtifacts, &headracev1.OutputArtifact{Name: name, Files: []string{name + "/**"}})
	}
	check := commands("Test", "Check", 1, "true")
	check.InputArtifacts = []string{"app"}
	s.define("files", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED,
		s.source(), &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{build}}, &headracev1.Stage{Name: "Test", Actions: []*headracev1.Action{check}})
	return s.awaitStatus(s.start("files"), headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED)
}
