package github_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
)

const (
	secret = "It's a Secret to Everybody"
	head   = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
)

func webhook(secrets ...string) forge.Webhook {
	w := forge.Webhook{Kind: forge.GitHub}
	for i, value := range secrets {
		w.Secrets = append(w.Secrets, forge.Secret{Version: int64(len(secrets) - i), Value: value})
	}
	return w
}

func sign(key string, body []byte) string {
	sum := hmac.New(sha256.New, []byte(key))
	sum.Write(body)
	return "sha256=" + hex.EncodeToString(sum.Sum(nil))
}

// The values are those of GitHub's documentation.
func TestVerifyTakesTheSignatureOfTheDocumentation(t *testing.T) {
	t.Parallel()
	body := []byte("Hello, World!")
	headers := http.Header{}
	headers.Set("X-Hub-Signature-256", "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17")
	version, err := github.Deliveries{}.Verify(webhook(secret), headers, body, time.Time{})
	require.NoError(t, err)
	require.EqualValues(t, 1, version)
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	body := []byte(`{"ref":"refs/heads/main"}`)
	sha1Sum := hmac.New(sha1.New, []byte(secret))
	sha1Sum.Write(body)
	legacy := "sha1=" + hex.EncodeToString(sha1Sum.Sum(nil))
	good := sign(secret, body)
	for name, test := range map[string]struct {
		headers map[string][]string
		secrets []string
		reason  forge.Reason
	}{
		"nothing":           {nil, []string{secret}, forge.SignatureMissing},
		"empty":             {map[string][]string{"X-Hub-Signature-256": {""}}, []string{secret}, forge.SignatureMissing},
		"SHA-1 alone":       {map[string][]string{"X-Hub-Signature": {legacy}}, []string{secret}, forge.SignatureMissing},
		"SHA-1 in 256":      {map[string][]string{"X-Hub-Signature-256": {legacy}}, []string{secret}, forge.SignatureInvalid},
		"another secret":    {map[string][]string{"X-Hub-Signature-256": {sign("other", body)}}, []string{secret}, forge.SignatureInvalid},
		"another body":      {map[string][]string{"X-Hub-Signature-256": {sign(secret, append(body, '\n'))}}, []string{secret}, forge.SignatureInvalid},
		"a part":            {map[string][]string{"X-Hub-Signature-256": {good[:len(good)-2]}}, []string{secret}, forge.SignatureInvalid},
		"no prefix":         {map[string][]string{"X-Hub-Signature-256": {good[len("sha256="):]}}, []string{secret}, forge.SignatureInvalid},
		"two":               {map[string][]string{"X-Hub-Signature-256": {sign("other", body), good}}, []string{secret}, forge.SignatureInvalid},
		"the empty secret":  {map[string][]string{"X-Hub-Signature-256": {sign("", body)}}, []string{""}, forge.SecretUnusable},
		"without a secret":  {map[string][]string{"X-Hub-Signature-256": {good}}, nil, forge.SecretUnusable},
		"Gitea's signature": {map[string][]string{"X-Gitea-Signature": {good[len("sha256="):]}}, []string{secret}, forge.SignatureMissing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := github.Deliveries{}.Verify(webhook(test.secrets...), test.headers, body, time.Time{})
			var refused *forge.UnverifiedError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.reason, refused.Reason)
			require.NotContains(t, err.Error(), secret)
			require.NotContains(t, err.Error(), good[len("sha256="):])
		})
	}
}

func TestBothSecretsOfARotationVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{}`)
	for key, version := range map[string]int64{"the new secret": 2, "the old secret": 1} {
		headers := http.Header{"X-Hub-Signature-256": {sign(key, body)}}
		got, err := github.Deliveries{}.Verify(webhook("the new secret", "the old secret"), headers, body, time.Time{})
		require.NoError(t, err)
		require.Equal(t, version, got)
	}
}

func TestOpenReadsJSONAndForms(t *testing.T) {
	t.Parallel()
	body := `{"zen":"a & b"}`
	form := url.Values{"payload": {body}}.Encode()
	for contentType, text := range map[string]string{
		"application/json": body, "application/json; charset=utf-8": body, "application/x-www-form-urlencoded": form,
	} {
		headers := http.Header{"X-Github-Event": {"ping"}, "X-Github-Delivery": {"guid"}, "Content-Type": {contentType}}
		content, err := github.Deliveries{}.Open(headers, []byte(text))
		require.NoError(t, err)
		require.Equal(t, forge.Content{ID: "guid", Event: "ping", Body: []byte(body)}, content)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const asJSON, asForm = "application/json", "application/x-www-form-urlencoded"
	for name, test := range map[string]struct {
		event, contentType, body string
	}{
		"no event":             {"", asJSON, `{}`},
		"an event with escape": {"push\x1b[31m", asJSON, `{}`},
		"JSON as a form":       {"push", asForm, `{"ref":"refs/heads/main"}`},
		"a form as JSON":       {"push", asJSON, `payload=%7B%7D`},
		"two payloads":         {"push", asForm, `payload=%7B%7D&payload=%7B%22a%22%3A1%7D`},
		"a broken form":        {"push", asForm, `payload=%zz`},
		"no content type":      {"push", "", `{}`},
		"text":                 {"push", "text/plain", `{}`},
		"a name twice":         {"push", asJSON, `{"ref":"refs/heads/a","ref":"refs/heads/b"}`},
		"a name twice below":   {"push", asJSON, `{"a":[{"b":1,"b":2}]}`},
		"two values":           {"push", asJSON, `{}{}`},
		"not UTF-8":            {"push", asJSON, "{\"ref\":\"\xff\"}"},
		"UTF-16":               {"push", asJSON, "\xff\xfe{\x00}\x00"},
		"a byte order mark":    {"push", asJSON, "\xef\xbb\xbf{}"},
		"a lone surrogate":     {"push", asJSON, `{"ref":"\ud800"}`},
		"deep":                 {"push", asJSON, strings.Repeat(`[`, 1_000_000)},
		"deep and closed":      {"push", asJSON, strings.Repeat(`[`, 20_000) + strings.Repeat(`]`, 20_000)},
		"empty":                {"push", asJSON, ``},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			headers := http.Header{"X-Github-Event": {test.event}, "Content-Type": {test.contentType}}
			_, err := github.Deliveries{}.Open(headers, []byte(test.body))
			var malformed *forge.MalformedError
			require.ErrorAs(t, err, &malformed)
			require.NotContains(t, err.Error(), "\x1b")
		})
	}
}

// parse parses the examples of an event and returns those that are not ignored, by action.
func parse(t *testing.T, examples map[string][][]byte, event string) (signals map[string][]forge.Signal, ignored []string) {
	t.Helper()
	require.NotEmpty(t, examples[event], event)
	signals = make(map[string][]forge.Signal)
	for _, body := range examples[event] {
		var about struct{ Action string }
		require.NoError(t, json.Unmarshal(body, &about))
		got, err := github.Deliveries{}.Parse(event, body)
		var skipped *forge.IgnoredError
		if err == nil {
			signals[about.Action] = append(signals[about.Action], got...)
		} else {
			require.ErrorAs(t, err, &skipped, "%s %s", event, about.Action)
			ignored = append(ignored, about.Action)
		}
	}
	return signals, ignored
}

func TestEveryExampleOfGitHubIsReadOrIgnored(t *testing.T) {
	t.Parallel()
	examples := forgetest.Octokit(t)
	require.Greater(t, len(examples), 50)
	for event := range examples {
		signals, ignored := parse(t, examples, event)
		switch event {
		case "push", "create", "delete", "ping", "installation", "installation_repositories":
			require.Empty(t, ignored, event)
		case "pull_request", "repository":
		default:
			require.Empty(t, signals, event)
		}
	}
}

func TestPushOfTheExamples(t *testing.T) {
	t.Parallel()
	hello := forge.Repository{FullName: "Codertocat/Hello-World", ID: 186853002, DefaultBranch: "master"}
	signals, _ := parse(t, forgetest.Octokit(t), "push")
	require.Len(t, signals[""], 7)
	tag, deleted, branch := signals[""][0], signals[""][1], signals[""][4]
	require.Equal(t, forge.Signal{
		Kind: forge.RefMoved, Repository: hello, Ref: "refs/tags/simple-tag", After: head, Created: true,
		Head: tag.Head, Pusher: "Codertocat",
	}, tag)
	require.Equal(t, head, tag.Head.ID)
	require.NotEmpty(t, tag.Head.Subject())
	require.Equal(t, forge.Signal{
		Kind: forge.RefMoved, Repository: hello, Ref: "refs/tags/simple-tag", Before: head, Deleted: true,
		Pusher: "Codertocat",
	}, deleted)
	require.Equal(t, "refs/heads/master", branch.Ref)
	require.True(t, branch.Created)
}

func TestPullRequestsOfTheExamples(t *testing.T) {
	t.Parallel()
	signals, ignored := parse(t, forgetest.Octokit(t), "pull_request")
	for action, want := range map[string]forge.PullRequestAction{
		"opened": forge.Opened, "synchronize": forge.Updated, "reopened": forge.Reopened, "closed": forge.Closed,
		"ready_for_review": forge.ReadyForReview, "converted_to_draft": forge.ConvertedToDraft,
	} {
		require.NotEmpty(t, signals[action], action)
		for _, signal := range signals[action] {
			require.Equal(t, forge.PullRequestChanged, signal.Kind)
			require.Equal(t, want, signal.PullRequest.Action)
			require.Equal(t, "refs/pull/2/head", signal.Ref)
			require.Equal(t, "ec26c3e57ca3a959ca5aad62de7213c562f8c821", signal.After)
		}
	}
	require.Equal(t, "f95f852bd8fca8fcc58a9a2d6c842781e32a215e", signals["synchronize"][0].Before)
	opened := *signals["opened"][0].PullRequest
	require.Equal(t, forge.PullRequest{
		Number: 2, Action: forge.Opened, Title: opened.Title, Author: "Codertocat",
		URL: "https://github.com/Codertocat/Hello-World/pull/2", SourceBranch: "changes", DestinationBranch: "master",
		HeadCommit: "ec26c3e57ca3a959ca5aad62de7213c562f8c821", BaseCommit: "f95f852bd8fca8fcc58a9a2d6c842781e32a215e",
		SourceRepository: forge.Repository{FullName: "Codertocat/Hello-World", ID: 186853002, DefaultBranch: "master"},
	}, opened)
	require.Contains(t, ignored, "labeled")
	require.NotContains(t, ignored, "opened")
}

// edit changes an example. It is for what the examples lack.
func edit(t *testing.T, body []byte, change func(event map[string]any)) []byte {
	t.Helper()
	var event map[string]any
	require.NoError(t, json.Unmarshal(body, &event))
	change(event)
	edited, err := json.Marshal(event)
	require.NoError(t, err)
	return edited
}

func TestPullRequestsOfForksAndNewTargets(t *testing.T) {
	t.Parallel()
	example := forgetest.Octokit(t)["pull_request"][0]
	one := func(body []byte) forge.Signal {
		signals, err := github.Deliveries{}.Parse("pull_request", body)
		require.NoError(t, err)
		require.Len(t, signals, 1)
		return signals[0]
	}
	side := func(event map[string]any) map[string]any {
		return event["pull_request"].(map[string]any)["head"].(map[string]any)
	}
	gone := one(edit(t, example, func(event map[string]any) { side(event)["repo"] = nil }))
	require.True(t, gone.PullRequest.Fork, "a fork that is gone is a fork")
	fork := one(edit(t, example, func(event map[string]any) {
		repo := side(event)["repo"].(map[string]any)
		repo["id"], repo["full_name"] = 7, "mallory/Hello-World"
	}))
	require.True(t, fork.PullRequest.Fork)
	require.Equal(t, "mallory/Hello-World", fork.PullRequest.SourceRepository.FullName)
	require.Equal(t, "Codertocat/Hello-World", fork.Repository.FullName)
	retargeted := one(edit(t, example, func(event map[string]any) {
		event["action"] = "edited"
		event["changes"] = map[string]any{"base": map[string]any{"ref": map[string]any{"from": "main"}}}
	}))
	require.Equal(t, forge.Retargeted, retargeted.PullRequest.Action)
	_, err := github.Deliveries{}.Parse("pull_request", edit(t, example, func(event map[string]any) {
		event["action"] = "edited"
		event["changes"] = map[string]any{"title": map[string]any{"from": "old"}}
	}))
	require.ErrorAs(t, err, new(*forge.IgnoredError))
	merged := one(edit(t, example, func(event map[string]any) {
		event["action"] = "closed"
		request := event["pull_request"].(map[string]any)
		request["merged"], request["merge_commit_sha"] = true, head
	}))
	require.True(t, merged.PullRequest.Merged)
	require.Equal(t, head, merged.PullRequest.MergeCommit)
}

func TestOtherEventsOfTheExamples(t *testing.T) {
	t.Parallel()
	examples := forgetest.Octokit(t)
	created, _ := parse(t, examples, "create")
	require.Equal(t, forge.RefHint, created[""][0].Kind)
	require.Equal(t, "refs/tags/simple-tag", created[""][0].Ref)
	require.Empty(t, created[""][0].After, "a hint does not say what the ref holds")
	pings, _ := parse(t, examples, "ping")
	require.Len(t, pings[""], 4, "a hook of an organization too")
	repositories, ignored := parse(t, examples, "repository")
	require.Contains(t, ignored, "publicized")
	renamed := repositories["renamed"][0]
	require.Equal(t, forge.RepositoryRenamed, renamed.Kind)
	require.True(t, strings.HasSuffix(renamed.PreviousName, "/Hello-World"))
	transferred := repositories["transferred"][0]
	require.True(t, strings.HasPrefix(transferred.PreviousName, "octocat/"))
	require.Equal(t, forge.RepositoryChanged, repositories["edited"][0].Kind)
	installations, _ := parse(t, examples, "installation")
	require.Equal(t, forge.InstallationChanged, installations["created"][0].Kind)
}

func TestHostileNamesAreRefusedOrCleaned(t *testing.T) {
	t.Parallel()
	example := forgetest.Octokit(t)["push"][4]
	for field, value := range map[string]any{
		"ref": "refs/heads/\x1b[31mmain", "before": "zz" + head[2:], "after": head[:39], "repository": map[string]any{"full_name": "a/<b>"},
		"head_commit": map[string]any{"id": "<script>"},
	} {
		_, err := github.Deliveries{}.Parse("push", edit(t, example, func(event map[string]any) { event[field] = value }))
		require.ErrorAs(t, err, new(*forge.MalformedError), field)
		require.NotContains(t, err.Error(), "\x1b")
	}
	for _, ref := range []string{"main", "refs/heads/", "refs/heads/a..b", "refs/heads/a b", "refs/heads/.a", "refs/heads/a.lock", "refs/main", "refs/heads/\u202eniam"} {
		_, err := github.Deliveries{}.Parse("push", edit(t, example, func(event map[string]any) { event["ref"] = ref }))
		require.ErrorAs(t, err, new(*forge.MalformedError), ref)
	}
	signals, err := github.Deliveries{}.Parse("push", edit(t, example, func(event map[string]any) {
		event["pusher"] = map[string]any{"name": "\x1b]0;evil\x07<b>\u202eeve\n"}
		event["head_commit"] = map[string]any{"id": head, "message": "Fix\x1b[2J\r\n\nbody\u0000\u2028"}
	}))
	require.NoError(t, err)
	require.Equal(t, "]0;evil<b>eve ", signals[0].Pusher)
	require.Equal(t, "Fix[2J\n\nbody", signals[0].Head.Message)
	_, err = github.Deliveries{}.Parse("push", []byte(`{"REF":"refs/heads/main","Repository":{"full_name":"a/b"}}`))
	require.ErrorAs(t, err, new(*forge.MalformedError), "names differ by case")
}

func FuzzParse(f *testing.F) {
	f.Add("push", []byte(`{"ref":"refs/heads/main","before":"`+head+`","after":"`+head+`","repository":{"id":1,"full_name":"a/b"}}`))
	f.Add("pull_request", []byte(`{"action":"opened","number":1,"pull_request":{"head":{"ref":"a","sha":"`+head+`"},"base":{"ref":"b"}},"repository":{"full_name":"a/b"}}`))
	f.Add("repository", []byte(`{"action":"renamed","changes":{"repository":{"name":{"from":"x"}}},"repository":{"full_name":"a/b"}}`))
	for _, event := range []string{"create", "delete", "ping", "installation", "installation_repositories", "other"} {
		f.Add(event, []byte(`{"ref":"a","ref_type":"tag","action":"created","repository":{"full_name":"a/b"},"installation":{"id":1}}`))
	}
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		signals, err := github.Deliveries{}.Parse(event, body)
		forgetest.CheckParsed(t, signals, err)
	})
}

func FuzzVerify(f *testing.F) {
	f.Add("sha256=00", []byte(`{}`))
	f.Add(sign("other", []byte(`{}`)), []byte(`{}`))
	f.Fuzz(func(t *testing.T, signature string, body []byte) {
		headers := http.Header{"X-Hub-Signature-256": {signature}}
		_, err := github.Deliveries{}.Verify(webhook(secret), headers, body, time.Time{})
		if want := strings.HasPrefix(signature, "sha256=") && strings.EqualFold(signature, sign(secret, body)); want != (err == nil) {
			t.Fatalf("signature %q of %q: %v", signature, body, err)
		}
	})
}
