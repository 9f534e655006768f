package gitlab_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
)

const (
	oldSigning = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
	newSigning = "whsec_YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="
	plain      = "a plain secret token"
)

func now() time.Time { return time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC) }

func webhook(secrets ...string) forge.Webhook {
	w := forge.Webhook{Kind: forge.GitLab}
	for i, value := range secrets {
		w.Secrets = append(w.Secrets, forge.Secret{Version: int64(len(secrets) - i), Value: value})
	}
	return w
}

// signed returns the headers of a signed delivery.
func signed(tb testing.TB, secret, id string, at time.Time, body []byte) http.Header {
	tb.Helper()
	key, err := base64.StdEncoding.DecodeString(secret[len("whsec_"):])
	require.NoError(tb, err)
	timestamp := strconv.FormatInt(at.Unix(), 10)
	sum := hmac.New(sha256.New, key)
	sum.Write([]byte(id + "." + timestamp + "." + string(body)))
	headers := http.Header{}
	headers.Set("webhook-id", id)
	headers.Set("webhook-timestamp", timestamp)
	headers.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(sum.Sum(nil)))
	return headers
}

func TestTokensAndSignaturesVerify(t *testing.T) {
	t.Parallel()
	body := []byte(`{}`)
	several := signed(t, newSigning, "id", now(), body)
	several.Set("webhook-signature", "v1a,AAAA v1,AAAA "+several.Get("webhook-signature")+" v1,%%")
	both := signed(t, newSigning, "id", now(), body)
	both.Set("X-Gitlab-Token", plain)
	for name, test := range map[string]struct {
		headers http.Header
		secrets []string
		version int64
	}{
		"token":                         {http.Header{"X-Gitlab-Token": {plain}}, []string{plain}, 1},
		"old token":                     {http.Header{"X-Gitlab-Token": {plain}}, []string{"the next one", plain}, 1},
		"signature":                     {signed(t, newSigning, "id", now(), body), []string{newSigning}, 1},
		"old signature":                 {signed(t, oldSigning, "id", now(), body), []string{newSigning, oldSigning}, 1},
		"new signature":                 {signed(t, newSigning, "id", now(), body), []string{newSigning, oldSigning}, 2},
		"several signatures":            {several, []string{newSigning}, 1},
		"both":                          {both, []string{newSigning, plain}, 2},
		"from a token to a signature":   {http.Header{"X-Gitlab-Token": {plain}}, []string{newSigning, plain}, 1},
		"a clock four minutes behind":   {signed(t, newSigning, "id", now().Add(-4*time.Minute), body), []string{newSigning}, 1},
		"a clock four minutes in front": {signed(t, newSigning, "id", now().Add(4*time.Minute), body), []string{newSigning}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			version, err := gitlab.Deliveries{}.Verify(webhook(test.secrets...), test.headers, body, now())
			require.NoError(t, err)
			require.Equal(t, test.version, version)
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	t.Parallel()
	body := []byte(`{}`)
	otherID := signed(t, newSigning, "id", now(), body)
	otherID.Set("webhook-id", "another")
	otherTime := signed(t, newSigning, "id", now().Add(-time.Hour), body)
	otherTime.Set("webhook-timestamp", strconv.FormatInt(now().Unix(), 10))
	otherVersion := signed(t, newSigning, "id", now(), body)
	otherVersion.Set("webhook-signature", "v2,"+otherVersion.Get("webhook-signature")[3:])
	noID := signed(t, newSigning, "", now(), body)
	for name, test := range map[string]struct {
		headers http.Header
		secrets []string
		reason  forge.Reason
	}{
		"nothing":                  {http.Header{}, []string{plain}, forge.SignatureMissing},
		"nothing for a signature":  {http.Header{}, []string{newSigning}, forge.SignatureMissing},
		"the token of a signature": {http.Header{"X-Gitlab-Token": {newSigning}}, []string{newSigning}, forge.SignatureMissing},
		"a part of the token":      {http.Header{"X-Gitlab-Token": {plain[:5]}}, []string{plain}, forge.SignatureInvalid},
		"a longer token":           {http.Header{"X-Gitlab-Token": {plain + "x"}}, []string{plain}, forge.SignatureInvalid},
		"two tokens":               {http.Header{"X-Gitlab-Token": {"x", plain}}, []string{plain}, forge.SignatureInvalid},
		"an hour ago":              {signed(t, newSigning, "id", now().Add(-time.Hour), body), []string{newSigning}, forge.SignatureExpired},
		"in an hour":               {signed(t, newSigning, "id", now().Add(time.Hour), body), []string{newSigning}, forge.SignatureExpired},
		"another id":               {otherID, []string{newSigning}, forge.SignatureInvalid},
		"another time":             {otherTime, []string{newSigning}, forge.SignatureInvalid},
		"another version":          {otherVersion, []string{newSigning}, forge.SignatureInvalid},
		"no id":                    {noID, []string{newSigning}, forge.SignatureMissing},
		"another key":              {signed(t, oldSigning, "id", now(), body), []string{newSigning}, forge.SignatureInvalid},
		"no secret":                {http.Header{"X-Gitlab-Token": {""}}, []string{""}, forge.SignatureMissing},
		"a key that is none":       {signed(t, oldSigning, "id", now(), body), []string{"whsec_%"}, forge.SecretUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := gitlab.Deliveries{}.Verify(webhook(test.secrets...), test.headers, body, now())
			var refused *forge.UnverifiedError
			require.ErrorAs(t, err, &refused)
			require.Equal(t, test.reason, refused.Reason)
		})
	}
}

func TestSecretsThatCannotVerifyAreRefused(t *testing.T) {
	t.Parallel()
	for _, secret := range []string{"", "short", "whsec_", "whsec_short", "whsec_%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%"} {
		err := gitlab.Deliveries{}.CheckSecret(forge.Authentication{}, secret)
		require.Error(t, err, secret)
	}
	for _, secret := range []string{plain, newSigning} {
		require.NoError(t, gitlab.Deliveries{}.CheckSecret(forge.Authentication{}, secret))
	}
}

func TestTheIDOfADeliveryIsTheOneThatIsSigned(t *testing.T) {
	t.Parallel()
	headers := http.Header{"X-Gitlab-Event": {"Push Hook"}, "Webhook-Id": {"signed"}, "Idempotency-Key": {"key"}, "X-Gitlab-Event-Uuid": {"event"}}
	for _, want := range []string{"signed", "key", ""} {
		content, err := gitlab.Deliveries{}.Open(headers, []byte(`{}`))
		require.NoError(t, err)
		require.Equal(t, want, content.ID)
		if headers.Get("webhook-id") != "" {
			headers.Del("webhook-id")
		} else {
			headers.Del("Idempotency-Key")
		}
	}
}

func one(t *testing.T, event string, body []byte) forge.Signal {
	t.Helper()
	signals, err := gitlab.Deliveries{}.Parse(event, body)
	require.NoError(t, err)
	require.Len(t, signals, 1)
	return signals[0]
}

func TestPushOfTheExamples(t *testing.T) {
	t.Parallel()
	push := forgetest.GitLab(t, "push")
	want := forge.Signal{
		Kind: forge.RefMoved, Ref: "refs/heads/master", Pusher: "jsmith",
		Before:     "95790bf891e76fee5e1747ab589903a6a1f80f22",
		After:      "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
		Head:       forge.Commit{ID: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7", Message: "fixed readme\n"},
		Repository: forge.Repository{FullName: "mike/diaspora", ID: 15, DefaultBranch: "master"},
	}
	require.Equal(t, want, one(t, "Push Hook", push))
	require.Equal(t, want, one(t, "System Hook", push), "system hooks send the same body")
	tag := one(t, "Tag Push Hook", forgetest.GitLab(t, "tag_push"))
	require.Equal(t, "refs/tags/v1.0.0", tag.Ref)
	require.True(t, tag.Created)
	require.Equal(t, "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", tag.Head.ID)
	_, err := gitlab.Deliveries{}.Parse("Tag Push Hook", push)
	require.ErrorAs(t, err, new(*forge.MalformedError), "the event does not belong to the body")

	deleted := one(t, "Push Hook", edit(t, push, func(event map[string]any) {
		event["after"], event["checkout_sha"] = "0000000000000000000000000000000000000000", nil
		event["commits"] = []any{}
	}))
	require.True(t, deleted.Deleted)
	require.Zero(t, deleted.Head)
	annotated := one(t, "Tag Push Hook", edit(t, forgetest.GitLab(t, "tag_push"), func(event map[string]any) {
		event["after"] = "1111111111111111111111111111111111111111"
	}))
	require.Equal(t, "1111111111111111111111111111111111111111", annotated.After, "the ref holds the tag")
	require.Equal(t, "82b3d5ae55f7080f1e6022629cdb57bfae7cccc7", annotated.Head.ID, "which leads to the commit")
}

func TestPushOptionsAskForNoPipeline(t *testing.T) {
	t.Parallel()
	push := forgetest.GitLab(t, "push")
	for want, options := range map[bool][]any{
		true:  {map[string]any{"ci": map[string]any{"skip": true}}, map[string]any{"ci": map[string]any{"skip": "true"}}},
		false: {nil, []any{}, map[string]any{}, map[string]any{"ci": "skip"}, map[string]any{"ci": map[string]any{"skip": false}}},
	} {
		for _, option := range options {
			signal := one(t, "Push Hook", edit(t, push, func(event map[string]any) { event["push_options"] = option }))
			require.Equal(t, want, signal.SkipRequested, option)
		}
	}
}

func TestMergeRequestsOfTheExamples(t *testing.T) {
	t.Parallel()
	opened := one(t, "Merge Request Hook", forgetest.GitLab(t, "merge_request"))
	require.Equal(t, forge.PullRequest{
		Number: 1, Action: forge.Opened, Title: "MS-Viewport", Author: "user1", URL: "http://example.com/diaspora/merge_requests/1",
		SourceBranch: "ms-viewport", DestinationBranch: "master", HeadCommit: "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
		SourceRepository: forge.Repository{FullName: "awesome_space/awesome_project", ID: 14, DefaultBranch: "master"},
	}, *opened.PullRequest)
	require.Equal(t, "gitlabhq/gitlab-test", opened.Repository.FullName)
	require.Equal(t, "refs/merge-requests/1/head", opened.Ref)
	updated := one(t, "Merge Request Hook", forgetest.GitLab(t, "service_merge_request"))
	require.Equal(t, forge.Updated, updated.PullRequest.Action)
	require.Equal(t, "6ef047571374c96a2bf13c361efd1fb008b0063e", updated.Before)
	_, err := gitlab.Deliveries{}.Parse("Merge Request Hook", forgetest.GitLab(t, "group_merge_request"))
	require.ErrorAs(t, err, new(*forge.MalformedError), "the names in this example end with blanks")
	merged := one(t, "Merge Request Hook", edit(t, forgetest.GitLab(t, "merge_request"), func(event map[string]any) {
		event["object_attributes"].(map[string]any)["action"] = "merge"
	}))
	require.Equal(t, forge.Closed, merged.PullRequest.Action)
	require.True(t, merged.PullRequest.Merged)
}

func TestAnUpdateOfAMergeRequestIsAChangeOnlyIfItSaysSo(t *testing.T) {
	t.Parallel()
	update := func(attributes, changes map[string]any) []byte {
		return edit(t, forgetest.GitLab(t, "merge_request"), func(event map[string]any) {
			all := event["object_attributes"].(map[string]any)
			all["action"] = "update"
			for name, value := range attributes {
				all[name] = value
			}
			event["changes"] = changes
		})
	}
	for want, body := range map[forge.PullRequestAction][]byte{
		forge.Updated:          update(map[string]any{"oldrev": "6ef047571374c96a2bf13c361efd1fb008b0063e"}, nil),
		forge.Retargeted:       update(nil, map[string]any{"target_branch": map[string]any{"previous": "a", "current": "master"}}),
		forge.ReadyForReview:   update(nil, map[string]any{"draft": map[string]any{"previous": true, "current": false}}),
		forge.ConvertedToDraft: update(map[string]any{"draft": true}, map[string]any{"draft": map[string]any{"previous": false, "current": true}}),
	} {
		require.Equal(t, want, one(t, "Merge Request Hook", body).PullRequest.Action)
	}
	for _, body := range [][]byte{
		update(nil, map[string]any{"title": map[string]any{"previous": "a", "current": "b"}}),
		update(map[string]any{"action": "approved"}, nil),
	} {
		_, err := gitlab.Deliveries{}.Parse("Merge Request Hook", body)
		require.ErrorAs(t, err, new(*forge.IgnoredError))
	}
	fork := one(t, "Merge Request Hook", edit(t, forgetest.GitLab(t, "merge_request"), func(event map[string]any) {
		event["object_attributes"].(map[string]any)["source_project_id"] = 99
	}))
	require.True(t, fork.PullRequest.Fork)
}

func TestOtherEventsAreIgnored(t *testing.T) {
	t.Parallel()
	for event, example := range map[string]string{
		"Pipeline Hook": "pipeline", "Note Hook": "note_commit", "Job Hook": "job", "Issue Hook": "issue", "Release Hook": "release",
		"System Hook": "project",
	} {
		_, err := gitlab.Deliveries{}.Parse(event, forgetest.GitLab(t, example))
		require.ErrorAs(t, err, new(*forge.IgnoredError), event)
	}
	renamed := one(t, "System Hook", []byte(`{"event_name":"project_rename","project_id":74,"path_with_namespace":"jsmith/after",
		"old_path_with_namespace":"jsmith/before"}`))
	require.Equal(t, forge.Signal{
		Kind: forge.RepositoryRenamed, Repository: forge.Repository{FullName: "jsmith/after", ID: 74}, PreviousName: "jsmith/before",
	}, renamed)
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

func FuzzParse(f *testing.F) {
	f.Add("Push Hook", []byte(`{"object_kind":"push","ref":"refs/heads/main","before":"95790bf891e76fee5e1747ab589903a6a1f80f22",
		"after":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7","project":{"id":1,"path_with_namespace":"a/b"},"push_options":{"ci":{"skip":true}}}`))
	f.Add("Merge Request Hook", []byte(`{"object_kind":"merge_request","project":{"id":1,"path_with_namespace":"a/b"},"object_attributes":{
		"iid":1,"action":"open","source_branch":"a","target_branch":"b","last_commit":{"id":"da1560886d4f094c3e6c9ef40349f7d38b5d27d7"}}}`))
	f.Add("System Hook", []byte(`{"event_name":"project_rename","project_id":74,"path_with_namespace":"a/b","old_path_with_namespace":"a/c"}`))
	f.Add("Other Hook", []byte(`{}`))
	f.Fuzz(func(t *testing.T, event string, body []byte) {
		signals, err := gitlab.Deliveries{}.Parse(event, body)
		forgetest.CheckParsed(t, signals, err)
	})
}

func FuzzVerify(f *testing.F) {
	good := signed(f, newSigning, "id", now(), []byte(`{}`))
	f.Add("id", good.Get("webhook-timestamp"), good.Get("webhook-signature"), []byte(`{}`))
	f.Add("id", "99999999999999999999", "v1,", []byte(`{}`))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		headers := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {timestamp}, "Webhook-Signature": {signature}}
		_, err := gitlab.Deliveries{}.Verify(webhook(newSigning), headers, body, now())
		same := id == "id" && timestamp == good.Get("webhook-timestamp") && string(body) == `{}`
		if err == nil && !same {
			t.Fatalf("a delivery that nobody signed was verified: %q %q %q %q", id, timestamp, signature, body)
		}
	})
}
