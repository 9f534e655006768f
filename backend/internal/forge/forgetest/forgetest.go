// Package forgetest finds deliveries that forges have published, for tests. It must never be
// used outside of tests.
package forgetest

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Octokit returns GitHub's example deliveries by event, from @octokit/webhooks-examples. It
// skips the test if the package is not installed; HEADRACE_TEST_OCTOKIT=required fails it.
func Octokit(tb testing.TB) map[string][][]byte {
	tb.Helper()
	path := Part(tb, "HEADRACE_TEST_OCTOKIT", "npm", "node_modules", "@octokit", "webhooks-examples", "api.github.com", "index.json")
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	var events []struct {
		Name     string
		Examples []json.RawMessage
	}
	if err := json.Unmarshal(text, &events); err != nil {
		tb.Fatalf("read %s: %v", path, err)
	}
	all := make(map[string][][]byte)
	for _, event := range events {
		for _, example := range event.Examples {
			all[event.Name] = append(all[event.Name], example)
		}
	}
	return all
}

// GitLab returns an example delivery of GitLab by its name, such as push, from the Go client
// that GitLab publishes.
func GitLab(tb testing.TB, name string) []byte {
	tb.Helper()
	// It is the only module there. Downloading it again is free.
	download := exec.CommandContext(tb.Context(), "go", "mod", "download", "-json", "gitlab.com/gitlab-org/api/client-go/v2")
	download.Dir = filepath.Join(Root(tb), "tools", "gitlab")
	download.Env = append(os.Environ(), "GOFLAGS=")
	told, err := download.Output()
	if err != nil {
		tb.Fatalf("get GitLab's examples: %v: %s", err, told)
	}
	var module struct{ Dir string }
	if err := json.Unmarshal(told, &module); err != nil {
		tb.Fatalf("get GitLab's examples: %v", err)
	}
	text, err := os.ReadFile(filepath.Join(module.Dir, "testdata", "webhooks", name+".json"))
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

// Part returns the path of something below build/parts, where scripts/parts.sh puts it.
// If it is missing the test is skipped, or fails if the variable is set to required.
func Part(tb testing.TB, required string, names ...string) string {
	tb.Helper()
	path := filepath.Join(append([]string{Root(tb), "build", "parts"}, names...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv(required) == "required" {
			tb.Fatalf("%s=required: %v; scripts/parts.sh installs it", required, err)
		}
		tb.Skipf("%v; scripts/parts.sh installs it", err)
	}
	return path
}

// Root returns the directory of the module.
func Root(tb testing.TB) string {
	tb.Helper()
	root, err := exec.CommandContext(tb.Context(), "go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		tb.Fatalf("find the module: %v", err)
	}
	return strings.TrimSpace(string(root))
}

// CheckParsed fails the test if what a parser returned could harm a reader of it.
func CheckParsed(tb testing.TB, signals []forge.Signal, err error) {
	tb.Helper()
	if err != nil {
		if !errors.As(err, new(*forge.MalformedError)) && !errors.As(err, new(*forge.IgnoredError)) {
			tb.Fatalf("error of another type: %v", err)
		}
		harmless(tb, err.Error())
		return
	}
	for _, signal := range signals {
		for _, text := range []string{
			signal.Ref, signal.Before, signal.After, signal.Pusher, signal.Head.ID, signal.Head.Subject(),
			signal.Repository.FullName, signal.Repository.DefaultBranch, signal.PreviousName,
		} {
			harmless(tb, text)
		}
		if signal.Kind == forge.RefMoved && (!strings.HasPrefix(signal.Ref, "refs/") || signal.Before == "" && signal.After == "") {
			tb.Fatalf("a move of no ref or from nothing to nothing: %+v", signal)
		}
		if pull := signal.PullRequest; pull != nil {
			for _, text := range []string{
				pull.Title, pull.Author, pull.URL, pull.SourceBranch, pull.DestinationBranch, pull.HeadCommit, pull.BaseCommit,
				pull.MergeCommit, pull.SourceRepository.FullName,
			} {
				harmless(tb, text)
			}
			if pull.Number < 1 || pull.Action == "" {
				tb.Fatalf("a pull request without number or action: %+v", pull)
			}
		}
	}
}

func harmless(tb testing.TB, text string) {
	tb.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl) {
		tb.Fatalf("%q would reach a reader", text)
	}
}
