package gitea_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea/giteatest"
)

const (
	secret   = "a secret of Gitea"
	patience = time.Minute
)

var update = flag.Bool("update", false, "record the deliveries in testdata from a real Gitea")

// received is a request as it came.
type received struct {
	headers http.Header
	body    []byte
}

// receive returns the URL of a server and what it receives.
func receive(t *testing.T) (string, <-chan received) {
	t.Helper()
	all := make(chan received, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err == nil {
			all <- received{r.Header, body}
		}
	}))
	t.Cleanup(server.Close)
	return server.URL, all
}

// read verifies and parses a delivery.
func read(t *testing.T, got received) (forge.Content, []forge.Signal, error) {
	t.Helper()
	webhook := forge.Webhook{Kind: forge.Gitea, Secrets: []forge.Secret{{Version: 1, Value: secret}}}
	version, err := gitea.Deliveries{}.Verify(webhook, got.headers, got.body, time.Time{})
	require.NoError(t, err)
	require.EqualValues(t, 1, version)
	content, err := gitea.Deliveries{}.Open(got.headers, got.body)
	require.NoError(t, err)
	signals, err := gitea.Deliveries{}.Parse(content.Event, content.Body)
	return content, signals, err
}

// record writes a delivery to testdata if the test runs with -update.
func record(t *testing.T, name string, body []byte) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o750))
		require.NoError(t, os.WriteFile(filepath.Join("testdata", name+".json"), append(bytes.TrimSpace(body), '\n'), 0o600))
	}
}

// await returns the first signal that fits, of deliveries that may come in any order.
func await(t *testing.T, from <-chan received, what string, fits func(forge.Signal) bool) forge.Signal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		select {
		case got := <-from:
			content, signals, err := read(t, got)
			if err != nil {
				require.ErrorAs(t, err, new(*forge.IgnoredError))
			}
			require.NotEmpty(t, content.ID)
			for _, signal := range signals {
				if fits(signal) {
					record(t, strings.ReplaceAll(what, " ", "_"), content.Body)
					return signal
				}
			}
		case <-ctx.Done():
			require.FailNow(t, "Gitea delivered no "+what)
		}
	}
}

func TestDeliveriesOfARealGitea(t *testing.T) {
	t.Parallel()
	server := giteatest.Start(t)
	for _, contentType := range []string{"json", "form"} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			server := server.With(t)
			repository := server.Create("web-" + contentType)
			target, deliveries := receive(t)
			server.Hook(repository, target, secret, contentType, "push", "create", "delete", "pull_request", "pull_request_sync")
			c := server.Clone(repository)
			first := c.Git("rev-parse", "HEAD")
			want := forge.Repository{FullName: "owner/web-" + contentType, ID: repository.ID, DefaultBranch: "main"}

			pushed := c.Commit("Change the page\n\nSkip-Checks: false", "file.txt")
			c.Git("push", "-q", "origin", "main")
			moved := func(ref string) func(forge.Signal) bool {
				return func(s forge.Signal) bool { return s.Kind == forge.RefMoved && s.Ref == ref }
			}
			got := await(t, deliveries, "push", moved("refs/heads/main"))
			require.Equal(t, forge.Signal{
				Kind: forge.RefMoved, Repository: want, Ref: "refs/heads/main", Before: first, After: pushed, Pusher: "owner",
				Head: forge.Commit{ID: pushed, Message: "Change the page\n\nSkip-Checks: false\n"},
			}, got)

			c.Git("tag", "v1")
			c.Git("tag", "-a", "-m", "annotated", "v2")
			c.Git("push", "-q", "origin", "v1")
			tag := await(t, deliveries, "tag", moved("refs/tags/v1"))
			require.True(t, tag.Created)
			require.Equal(t, pushed, tag.After)
			c.Git("push", "-q", "origin", "v2")
			annotated := await(t, deliveries, "annotated tag", moved("refs/tags/v2"))
			require.Equal(t, c.Git("rev-parse", "v2"), annotated.After, "what the ref holds")
			c.Git("push", "-q", "origin", ":v1")
			require.True(t, await(t, deliveries, "deletion of a tag", moved("refs/tags/v1")).Deleted)

			c.Git("switch", "-q", "-c", "feature/one")
			head := c.Commit("Work", "file.txt")
			c.Git("push", "-q", "origin", "feature/one")
			branch := await(t, deliveries, "new branch", moved("refs/heads/feature/one"))
			require.True(t, branch.Created)
			require.Equal(t, head, branch.After)

			server.Call(http.MethodPost, "/repos/"+repository.FullName+"/pulls",
				map[string]any{"head": "feature/one", "base": "main", "title": "One"}, nil)
			changed := func(action forge.PullRequestAction) func(forge.Signal) bool {
				return func(s forge.Signal) bool { return s.PullRequest != nil && s.PullRequest.Action == action }
			}
			opened := await(t, deliveries, "pull request", changed(forge.Opened))
			require.Equal(t, "refs/pull/1/head", opened.Ref)
			require.Equal(t, forge.PullRequest{
				Number: 1, Action: forge.Opened, Title: "One", Author: "owner", URL: server.URL + "/" + repository.FullName + "/pulls/1",
				SourceBranch: "feature/one", DestinationBranch: "main", HeadCommit: head, BaseCommit: pushed, SourceRepository: want,
			}, *opened.PullRequest)
			require.Equal(t, head+"\t"+opened.Ref, c.Git("ls-remote", "origin", opened.Ref), "the ref has the head")

			c.Git("commit", "-q", "--amend", "-m", "Work, written again")
			again := c.Git("rev-parse", "HEAD")
			c.Git("push", "-q", "--force", "origin", "feature/one")
			var forced, updated forge.Signal
			await(t, deliveries, "update of a pull request", func(s forge.Signal) bool {
				if moved("refs/heads/feature/one")(s) {
					forced = s
				}
				if changed(forge.Updated)(s) {
					updated = s
				}
				return forced.Kind != "" && updated.Kind != ""
			})
			require.Equal(t, head, forced.Before)
			require.Equal(t, again, forced.After)
			require.Equal(t, again, updated.PullRequest.HeadCommit)

			require.EventuallyWithT(t, func(c *assert.CollectT) {
				assert.NoError(c, server.Try(http.MethodPost, "/repos/"+repository.FullName+"/pulls/1/merge", map[string]any{"Do": "merge"}, nil))
			}, patience, 100*time.Millisecond, "Gitea first finds out whether it can merge")
			merged := await(t, deliveries, "merge", changed(forge.Closed))
			require.True(t, merged.PullRequest.Merged)
			require.NotEmpty(t, merged.PullRequest.MergeCommit)

			c.Git("push", "-q", "origin", ":feature/one")
			deleted := await(t, deliveries, "deletion of a branch", func(s forge.Signal) bool { return s.Kind == forge.RefHint && s.Ref == "refs/heads/feature/one" })
			require.Empty(t, deleted.After, "Gitea says that a branch is gone without what it held")
		})
	}
}

func TestADeliveryOfGiteaIsNotVerifiedByAnotherSecret(t *testing.T) {
	t.Parallel()
	server := giteatest.Start(t)
	repository := server.Create("web")
	target, deliveries := receive(t)
	server.Hook(repository, target, "another secret", "form", "push")
	c := server.Clone(repository)
	c.Commit("Change", "file.txt")
	c.Git("push", "-q", "origin", "main")
	select {
	case got := <-deliveries:
		webhook := forge.Webhook{Kind: forge.Gitea, Secrets: []forge.Secret{{Version: 1, Value: secret}}}
		_, err := gitea.Deliveries{}.Verify(webhook, got.headers, got.body, time.Time{})
		require.ErrorAs(t, err, new(*forge.UnverifiedError))
		webhook.Secrets[0].Value = "another secret"
		_, err = gitea.Deliveries{}.Verify(webhook, got.headers, bytes.ToUpper(got.body), time.Time{})
		require.ErrorAs(t, err, new(*forge.UnverifiedError))
	case <-time.After(patience):
		require.FailNow(t, "Gitea delivered nothing")
	}
}

// The deliveries are recorded: go test ./backend/internal/forge/gitea -run RealGitea -update.
func TestRecordedDeliveries(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		event string
		kind  forge.SignalKind
		ref   string
	}{
		"push":                 {"push", forge.RefMoved, "refs/heads/main"},
		"tag":                  {"push", forge.RefMoved, "refs/tags/v1"},
		"annotated_tag":        {"push", forge.RefMoved, "refs/tags/v2"},
		"deletion_of_a_tag":    {"push", forge.RefMoved, "refs/tags/v1"},
		"new_branch":           {"push", forge.RefMoved, "refs/heads/feature/one"},
		"pull_request":         {"pull_request", forge.PullRequestChanged, "refs/pull/1/head"},
		"merge":                {"pull_request", forge.PullRequestChanged, "refs/pull/1/head"},
		"deletion_of_a_branch": {"delete", forge.RefHint, "refs/heads/feature/one"},
	} {
		body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
		require.NoError(t, err)
		signals, err := gitea.Deliveries{}.Parse(want.event, body)
		require.NoError(t, err, name)
		require.Len(t, signals, 1)
		require.Equal(t, want.kind, signals[0].Kind, name)
		require.Equal(t, want.ref, signals[0].Ref, name)
		require.Positive(t, signals[0].Repository.ID)
	}
}

func TestVerifyTakesTheSignatureOfFormsFromTheirPayload(t *testing.T) {
	t.Parallel()
	webhook := forge.Webhook{Secrets: []forge.Secret{{Version: 1, Value: secret}}}
	payload := `{"ref":"refs/heads/main"}`
	sum := hmac.New(sha256.New, []byte(secret))
	sum.Write([]byte(payload))
	signature := hex.EncodeToString(sum.Sum(nil))
	form := url.Values{"payload": {payload}}.Encode()
	for name, test := range map[string]struct {
		headers http.Header
		body    string
		good    bool
	}{
		"JSON":            {http.Header{"X-Gitea-Signature": {signature}, "Content-Type": {"application/json"}}, payload, true},
		"Forgejo":         {http.Header{"X-Forgejo-Signature": {signature}, "Content-Type": {"application/json"}}, payload, true},
		"form":            {http.Header{"X-Gitea-Signature": {signature}, "Content-Type": {"application/x-www-form-urlencoded"}}, form, true},
		"two payloads":    {http.Header{"X-Gitea-Signature": {signature}, "Content-Type": {"application/x-www-form-urlencoded"}}, form + "&" + form, false},
		"a form as it is": {http.Header{"X-Gitea-Signature": {signature}, "Content-Type": {"application/json"}}, form, false},
		"GitHub's":        {http.Header{"X-Hub-Signature-256": {"sha256=" + signature}, "Content-Type": {"application/json"}}, payload, false},
		"a prefix":        {http.Header{"X-Gitea-Signature": {"sha256=" + signature}, "Content-Type": {"application/json"}}, payload, false},
		"nothing":         {http.Header{"Content-Type": {"application/json"}}, payload, false},
	} {
		_, err := gitea.Deliveries{}.Verify(webhook, test.headers, []byte(test.body), time.Time{})
		if test.good {
			require.NoError(t, err, name)
		} else {
			require.ErrorAs(t, err, new(*forge.UnverifiedError), name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for event, pattern := range map[string]string{"push": "*tag*", "pull_request": "pull_request", "delete": "*branch"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern+".json"))
		require.NoError(f, err)
		for _, file := range files {
			body, err := os.ReadFile(file)
			require.NoError(f, err)
			f.Add(event, body)
		}
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		signals, err := gitea.Deliveries{}.Parse(event, body)
		forgetest.CheckParsed(t, signals, err)
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("application/x-www-form-urlencoded", "00", []byte("payload=%7B%7D"))
	f.Add("application/json", strings.Repeat("0", 64), []byte(`{}`))
	f.Fuzz(func(t *testing.T, contentType, signature string, body []byte) {
		webhook := forge.Webhook{Secrets: []forge.Secret{{Version: 1, Value: secret}}}
		headers := http.Header{"X-Gitea-Signature": {signature}, "Content-Type": {contentType}}
		if _, err := (gitea.Deliveries{}).Verify(webhook, headers, body, time.Time{}); err == nil {
			t.Fatalf("nobody signed %q by %q", body, signature)
		}
	})
}
