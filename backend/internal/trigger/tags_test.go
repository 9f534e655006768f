package trigger_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/forgetest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitea"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

const noCommit = "0000000000000000000000000000000000000000"

// tagPush is what a forge tells of a move of tag v1: a recorded delivery with other ids. The
// commit is that of an annotated tag, and empty if the delivery does not tell it.
type tagPush func(t *testing.T, before, after, commit string) []forge.Signal

func edited(t *testing.T, recorded []byte, change map[string]any) []byte {
	t.Helper()
	var event map[string]any
	require.NoError(t, json.Unmarshal(recorded, &event))
	for name, value := range change {
		if inner, ok := value.(map[string]any); ok && event[name] != nil {
			for key, v := range inner {
				event[name].(map[string]any)[key] = v
			}
			continue
		}
		event[name] = value
	}
	body, err := json.Marshal(event)
	require.NoError(t, err)
	return body
}

func giteaTag(t *testing.T, before, after, commit string) []forge.Signal {
	t.Helper()
	recorded, err := os.ReadFile("../forge/gitea/testdata/annotated_tag.json")
	require.NoError(t, err)
	change := map[string]any{
		"ref": "refs/tags/v1", "before": before, "after": after, "head_commit": map[string]any{"id": commit},
		"repository": map[string]any{"full_name": "acme/web"},
	}
	if commit == "" {
		var event map[string]any
		require.NoError(t, json.Unmarshal(recorded, &event))
		delete(event, "head_commit")
		recorded, err = json.Marshal(event)
		require.NoError(t, err)
		delete(change, "head_commit")
	}
	signals, err := gitea.Deliveries{}.Parse("push", edited(t, recorded, change))
	require.NoError(t, err)
	return signals
}

func gitlabTag(t *testing.T, before, after, commit string) []forge.Signal {
	t.Helper()
	change := map[string]any{
		"ref": "refs/tags/v1", "before": before, "after": after, "checkout_sha": nil, "commits": []any{},
		"project": map[string]any{"path_with_namespace": "acme/web"},
	}
	if commit != "" {
		change["checkout_sha"] = commit
	}
	signals, err := gitlab.Deliveries{}.Parse("Tag Push Hook", edited(t, forgetest.GitLab(t, "tag_push"), change))
	require.NoError(t, err)
	return signals
}

// githubTag tells the commit and not the id of the tag.
func githubTag(t *testing.T, before, after, commit string) []forge.Signal {
	t.Helper()
	var recorded []byte
	for _, body := range forgetest.Octokit(t)["push"] {
		if bytes.Contains(body, []byte("refs/tags/")) {
			recorded = body
		}
	}
	require.NotNil(t, recorded)
	change := map[string]any{
		"ref": "refs/tags/v1", "before": before, "after": commit, "deleted": after == noCommit, "created": before == noCommit,
		"repository": map[string]any{"full_name": "acme/web"}, "head_commit": map[string]any{"id": commit, "message": "Change"},
	}
	if after == noCommit {
		change["after"], change["head_commit"] = noCommit, nil
	}
	signals, err := github.Deliveries{}.Parse("push", edited(t, recorded, change))
	require.NoError(t, err)
	return signals
}

// hook makes a webhook of a kind at the site and returns what delivers there.
func (s *site) hook(kind forge.Kind) func(signals []forge.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.store.Update(s.t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateWebhook(ctx, ledger.Webhook{
			ID: "hook", Account: "default", Name: "hook", Path: "path", Connection: "forge", WebhookDetails: ledger.WebhookDetails{Kind: kind},
			Secrets: []ledger.WebhookSecret{{Version: 1, Sealed: []byte("secret")}}, Revision: 1,
		})
	}))
	return func(signals []forge.Signal) {
		s.t.Helper()
		require.NoError(s.t, s.intake.Deliver(s.t.Context(), forge.Delivery{
			Content: forge.Content{ID: uuid.NewString(), Event: "push", Body: []byte(`{}`)}, Webhook: "accounts/default/webhooks/hook", Etag: "hook-1", Kind: kind,
			SecretVersion: 1, ReceiveTime: s.now(), Signals: signals,
		}))
	}
}

// settle compares the repository with its remote, and waits until nothing is pending.
func (s *site) settle(repositoryID, triggerID string) {
	s.t.Helper()
	_, err := s.intake.Backfill(s.t.Context(), []string{repositoryID})
	require.NoError(s.t, err)
	require.True(s.t, eventually(func() bool {
		for _, d := range s.decisions(triggerID) {
			if d.Outcome == ledger.Pending {
				return false
			}
		}
		return true
	}))
}

// A forge tells the id of an annotated tag, its commit or both. Whoever tells first, each
// change is one move, and the execution gets the commit.
func TestAnnotatedTag(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		kind   forge.Kind
		told   tagPush
		untold bool
	}{
		"GitHub":                  {kind: forge.GitHub, told: githubTag},
		"GitLab":                  {kind: forge.GitLab, told: gitlabTag},
		"GitLab without a commit": {kind: forge.GitLab, told: gitlabTag, untold: true},
		"Gitea":                   {kind: forge.Gitea, told: giteaTag},
		"Gitea without a commit":  {kind: forge.Gitea, told: giteaTag, untold: true},
	} {
		for order, pollFirst := range map[string]bool{"poll first": true, "delivery first": false} {
			t.Run(name+", "+order, func(t *testing.T) {
				t.Parallel()
				s := newSite(t)
				s.polls = 0
				one := s.repo.Head("refs/heads/main")
				s.start()
				id, repository := s.pipeline("web", declared.Git{
					Push: []pipeline.GitPushFilter{{Tags: &pipeline.GlobFilter{Includes: []string{"v*"}}}}, MovedTag: declared.MovedTagAllow,
				})
				deliver := s.hook(test.kind)
				at := noCommit
				happens := func(commit string) {
					t.Helper()
					before := at
					if commit == "" {
						at = noCommit
						s.repo.Delete("refs/tags/v1")
					} else {
						at = s.repo.AnnotatedTag("v1", commit, "Release "+uuid.NewString())
					}
					if pollFirst {
						s.settle(repository, id)
					}
					told := commit
					if test.untold {
						told = ""
					}
					for range 2 {
						deliver(test.told(t, before, at, told))
						s.settle(repository, id)
					}
					s.same(repository)
				}
				happens(one)
				require.Equal(t, []string{one}, s.started(id))
				happens(one)
				require.Equal(t, []string{one}, s.started(id), "another message for the same commit is not a change")
				two := s.repo.Commit("main", nil)
				happens(two)
				require.Equal(t, []string{one, two}, s.started(id))
				happens("")
				require.Equal(t, []string{one, two}, s.started(id), "a deletion")
				happens(two)
				require.Equal(t, []string{one, two, two}, s.started(id), "created again")
				s.view(func(ctx context.Context, r store.Reader) error {
					for _, d := range s.decisions(id) {
						if d.Execution == "" {
							continue
						}
						e, err := r.Execution(ctx, d.Execution)
						if err != nil {
							return err
						}
						require.Equal(t, d.ToCommit, e.Overrides[0].Value, "%+v", d)
						require.Contains(t, []string{one, two}, e.Overrides[0].Value)
					}
					return nil
				})
			})
		}
	}
}
