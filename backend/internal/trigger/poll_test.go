package trigger_test

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// patience is for a machine that does many things at once.
const patience = time.Minute

// site is a git server with a repository, and a server that watches it, which can be
// stopped and started.
type site struct {
	t      *testing.T
	dir    string
	host   *gittest.Host
	repo   *gittest.Repository
	git    *gittest.HTTPServer
	forges trigger.Forges
	log    *syncBuffer
	// offset is how far the clock is ahead.
	offset atomic.Int64
	// polls and backfills are the intervals.
	polls, backfills time.Duration

	store  store.Store
	loop   *loop.Loop
	intake *trigger.Intake
	// public is where forges reach the server.
	public string
	stop   func()
}

type syncBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *syncBuffer) count(text string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Count(b.buffer.String(), text)
}

// gitKind says that every connection is one of a git server.
type gitKind struct{}

func (gitKind) Kind(context.Context, store.Reader, string, string) (forge.Kind, error) {
	return forge.GitHub, nil
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: t.TempDir(), host: gittest.NewHost(t), log: &syncBuffer{}, polls: 50 * time.Millisecond, backfills: time.Hour, public: "https://headrace.example.com"}
	s.repo = s.host.Repository("acme/web")
	s.git = s.host.HTTP()
	s.repo.Commit("main", nil)
	return s
}

func (s *site) now() time.Time { return time.Now().UTC().Add(time.Duration(s.offset.Load())) }

// start starts the server.
func (s *site) start() {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	db, err := sqlite.Open(ctx, sqlite.Config{Path: filepath.Join(s.dir, "headrace.db")})
	require.NoError(s.t, err)
	log := hclog.New(&hclog.LoggerOptions{Output: s.log, Level: hclog.Info})
	mirrors, err := mirror.Open(mirror.Config{
		Dir: filepath.Join(s.dir, "mirrors"), Limit: 1 << 30, Clock: s.now, Log: log,
		Remote: func(_ context.Context, r mirror.Repository) (gitauth.Remote, error) {
			return gitauth.Remote{URL: s.git.Base() + "/" + r.Name + ".git"}, nil
		},
	})
	require.NoError(s.t, err)
	types := catalog.Builtin()
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	s.store = db
	s.loop = loop.New(loop.Config{
		Store: db, Queue: embedded.New(embedded.Config{Workers: 16, Clock: s.now, Retry: 10 * time.Millisecond, Log: log}),
		Catalog: types, Registry: action.NewRegistry(), Clock: s.now, NewID: newID, Lease: time.Hour, Log: log,
	})
	s.intake = trigger.New(trigger.Config{
		Store: db, Loop: s.loop, Catalog: types, Mirror: mirrors, Connections: gitKind{}, Clock: s.now, NewID: newID, Log: log,
		Forges: s.forges, Poll: s.polls, Backfill: s.backfills, Secrets: unsealed{},
		HookURL: func(_ forge.Kind, path string) string { return s.public + "/" + path },
	})
	require.NoError(s.t, s.loop.Recover(ctx))
	require.NoError(s.t, s.intake.Start(ctx))
	done := make(chan error, 1)
	go func() { done <- s.loop.Run(ctx) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(s.t, errors.Join(<-done, mirrors.Close(), db.Close()))
	})
	s.t.Cleanup(s.stop)
}

// definition is a pipeline that waits for an approval after its source.
func definitionOf() pipeline.Definition {
	return pipeline.Definition{
		ExecutionMode: pipeline.Parallel,
		Stages: []pipeline.Stage{
			{Name: "Source", Actions: []pipeline.Action{{
				Name: "Checkout", Category: pipeline.CategorySource, Owner: pipeline.Owner, Provider: "Git", Version: "1", RunOrder: 1,
				Configuration:   map[string]string{"RepositoryUrl": "https://example.com/acme/web.git", "Branch": "main"},
				OutputArtifacts: []pipeline.OutputArtifact{{Name: "Source"}},
			}}},
			{Name: "Release", Actions: []pipeline.Action{{
				Name: "sign", Category: pipeline.CategoryApproval, Owner: pipeline.Owner, Provider: "Manual", Version: "1", RunOrder: 1,
			}}},
		},
	}
}

// pipeline makes a pipeline with a trigger, and waits until the refs were read that later
// changes are compared with. It returns the id of the trigger.
func (s *site) pipeline(name string, git declared.Git) (triggerID, repositoryID string) {
	s.t.Helper()
	triggerID = uuid.Must(uuid.NewV7()).String()
	git.SourceAction = "Checkout"
	require.NoError(s.t, s.loop.Submit(s.t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		if _, err := tx.Account(ctx, "default"); errors.Is(err, store.ErrNotFound) {
			if err := tx.CreateAccount(ctx, auth.Account{Name: "default"}); err != nil {
				return err
			}
		}
		var err error
		if repositoryID, err = s.intake.Watch(ctx, tx, "default", "forge", "acme/web"); err != nil {
			return err
		}
		return errors.Join(
			tx.CreatePipeline(ctx, definition.Pipeline{ID: name, Account: "default", Name: name, Version: 1, Revision: 1}),
			tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: name, Version: 1, Definition: definitionOf()}),
			tx.CreateTrigger(ctx, ledger.Trigger{
				ID: triggerID, Account: "default", Name: name, Pipeline: name, RepositoryID: repositoryID,
				Declared: ledger.Declared{Git: &git}, Revision: 1, CreatedAt: s.now(),
			}),
		)
	}))
	require.Eventually(s.t, func() bool {
		var found ledger.Trigger
		s.view(func(ctx context.Context, r store.Reader) (err error) {
			found, err = r.TriggerByID(ctx, triggerID)
			return err
		})
		return found.Baselined
	}, patience, time.Millisecond)
	return triggerID, repositoryID
}

func (s *site) view(f func(context.Context, store.Reader) error) {
	s.t.Helper()
	require.NoError(s.t, s.store.View(context.Background(), f))
}

// decisions returns the decisions of a trigger, oldest first.
func (s *site) decisions(triggerID string) []ledger.Decision {
	s.t.Helper()
	var all []ledger.Decision
	s.view(func(ctx context.Context, r store.Reader) (err error) {
		all, err = r.Decisions(ctx, store.DecisionFilter{Account: "default", TriggerID: triggerID, Size: 1000})
		return err
	})
	slices.Reverse(all)
	return all
}

// started returns the commits that a trigger started executions with, oldest first.
func (s *site) started(triggerID string) []string {
	s.t.Helper()
	var commits []string
	for _, d := range s.decisions(triggerID) {
		if d.Outcome == ledger.Started {
			commits = append(commits, d.ToCommit)
		}
	}
	return commits
}

// starts waits until a trigger has started executions with exactly these commits.
func (s *site) starts(triggerID string, commits ...string) {
	s.t.Helper()
	if !eventually(func() bool { return len(s.started(triggerID)) >= len(commits) }) {
		for _, d := range s.decisions(triggerID) {
			s.t.Logf("%s %s %s: %s", d.Ref, d.Outcome, d.Reason, d.Message)
		}
	}
	require.Equal(s.t, commits, s.started(triggerID))
}

func eventually(done func() bool) bool {
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(5 * time.Millisecond) {
		if done() {
			return true
		}
	}
	return false
}

// polled waits until the repository was read completely after now.
func (s *site) polled(repositoryID string) {
	s.t.Helper()
	since := s.now()
	require.True(s.t, eventually(func() bool {
		var r ledger.Repository
		s.view(func(ctx context.Context, reader store.Reader) (err error) {
			r, err = reader.Repository(ctx, repositoryID)
			return err
		})
		return r.ObservedAt.After(since)
	}))
}

// same checks that the ledger is what the remote has.
func (s *site) same(repositoryID string) {
	s.t.Helper()
	heads := make(map[string]string)
	s.view(func(ctx context.Context, r store.Reader) error {
		all, err := r.Refs(ctx, repositoryID)
		for _, ref := range all {
			if ref.Head != "" {
				heads[ref.Ref] = ref.Head
			}
		}
		return err
	})
	require.Equal(s.t, s.repo.Refs(), heads)
}

func all() declared.Git {
	return declared.Git{Push: []pipeline.GitPushFilter{{}, {Tags: &pipeline.GlobFilter{Includes: []string{"**"}}}}}
}

// Each change of a branch or tag that a poll finds starts one execution. Nothing starts
// because the trigger is new.
func TestPoll(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.repo.Head("refs/heads/main")
	s.start()
	id, repository := s.pipeline("web", all())
	s.polled(repository)
	require.Empty(t, s.started(id), "a new trigger")
	second := s.repo.Commit("main", nil)
	s.starts(id, second)
	s.repo.Branch("feature", second)
	s.starts(id, second, second)
	s.repo.Tag("v1", first)
	s.starts(id, second, second, first)
	s.repo.Branch("main", first)
	s.starts(id, second, second, first, first)
	s.repo.Branch("main", second)
	s.starts(id, second, second, first, first, second)
	s.repo.Delete("refs/heads/feature")
	s.polled(repository)
	require.Len(t, s.started(id), 5, "a deletion")
	s.same(repository)
	for _, d := range s.decisions(id) {
		require.Equal(t, ledger.ByPoll, d.FoundBy)
	}
}

// A trigger that filters by files compares with the head that it compared last.
func TestPollComparesFiles(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	id, repository := s.pipeline("web", declared.Git{Push: []pipeline.GitPushFilter{{FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}}}}})
	s.repo.Commit("main", map[string]string{"docs/a": "1\n"})
	require.True(t, eventually(func() bool { return len(s.decisions(id)) == 1 && s.decisions(id)[0].Outcome == ledger.NotStarted }))
	matches := s.repo.Commit("main", map[string]string{"web/a": "1\n"})
	s.starts(id, matches)
	last := s.repo.Commit("main", map[string]string{"docs/a": "2\n"})
	require.True(t, eventually(func() bool {
		all := s.decisions(id)
		return all[len(all)-1].ToCommit == last && all[len(all)-1].Outcome == ledger.NotStarted
	}))
	require.Len(t, s.started(id), 1)
	s.same(repository)
}

// A repository is polled once, whatever the number of triggers.
func TestOnePollForAllTriggers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.polls = time.Hour
	s.start()
	var ids []string
	repository := ""
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		var id string
		id, repository = s.pipeline(name, all())
		ids = append(ids, id)
	}
	s.stop()
	s.polls, s.backfills = 200*time.Millisecond, 0
	before := s.git.Requests()["git-upload-pack"]
	begun := time.Now()
	s.start()
	for range 5 {
		s.polled(repository)
	}
	// Beside polls there are reads of what was missed, at the start. A poll for each of the
	// triggers would make five times as many.
	polls := int(time.Since(begun)/(180*time.Millisecond)) + 2
	require.LessOrEqual(t, s.git.Requests()["git-upload-pack"]-before, 2*polls)
	head := s.repo.Commit("main", nil)
	for _, id := range ids {
		s.starts(id, head)
	}
}

// A remote that does not answer is polled ever more rarely, reported once after an hour, and
// nothing is lost.
func TestRemoteThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.start()
	id, repository := s.pipeline("web", all())
	s.git.Refuse(http.StatusBadGateway)
	head := s.repo.Commit("main", nil)
	repo := func() *ledger.Repository {
		var r ledger.Repository
		s.view(func(ctx context.Context, reader store.Reader) (err error) {
			r, err = reader.Repository(ctx, repository)
			return err
		})
		return &r
	}
	require.True(t, eventually(func() bool { return repo().Failures >= 3 }))
	require.Contains(t, repo().Problem, "502")
	require.Empty(t, repo().Unreadable())
	s.offset.Store(int64(time.Hour))
	failures := repo().Failures
	require.True(t, eventually(func() bool { return repo().Failures >= failures+2 }))
	require.Contains(t, repo().Unreadable(), "502")
	require.Equal(t, 1, s.log.count("has not been readable for an hour"))
	require.Empty(t, s.started(id))
	s.git.Refuse(0)
	s.starts(id, head)
	require.Empty(t, repo().Problem)
	require.Empty(t, repo().Unreadable())
}

// What happened while no server ran is found after the start, also without polls, and once.
func TestDowntime(t *testing.T) {
	t.Parallel()
	for _, polls := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(polls.String(), func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.polls, s.backfills = polls, 0
			s.start()
			id, repository := s.pipeline("web", all())
			var want []string
			for range 3 {
				s.stop()
				s.offset.Add(int64(time.Hour))
				s.repo.Commit("main", nil)
				want = append(want, s.repo.Commit("main", nil))
				s.repo.Branch("gone", want[0])
				s.repo.Delete("refs/heads/gone")
				s.start()
				s.starts(id, want...)
			}
			s.same(repository)
		})
	}
}

// Back-fill at intervals finds what no delivery told of, where polling is off.
func TestBackfillAtIntervals(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.polls, s.backfills = 0, 50*time.Millisecond
	s.start()
	id, repository := s.pipeline("web", all())
	head := s.repo.Commit("main", nil)
	s.starts(id, head)
	require.Equal(t, ledger.ByBackfill, s.decisions(id)[0].FoundBy)
	s.same(repository)
}

// A person's back-fill says what it found.
func TestBackfill(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.polls = 0
	forge := &fakeForge{failed: []api.FailedDelivery{{ID: "2", RepositoryID: 42}, {ID: "1", RepositoryID: 42}, {ID: "0", RepositoryID: 7}}}
	s.forges = forge
	s.start()
	id, repository := s.pipeline("web", all())
	require.NoError(t, s.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		r, err := tx.Repository(ctx, repository)
		if err != nil {
			return err
		}
		r.ForgeID = 42
		return errors.Join(tx.UpdateRepository(ctx, r), tx.CreateWebhook(ctx, ledger.Webhook{
			ID: "hook", Account: "default", Name: "hook", Path: "p", Connection: "forge", WebhookDetails: ledger.WebhookDetails{Kind: "github"}, Revision: 1,
		}))
	}))
	head := s.repo.Commit("main", nil)
	found, err := s.intake.Backfill(t.Context(), []string{repository, "no-such"})
	require.NoError(t, err)
	require.Equal(t, []trigger.Backfilled{{Connection: "forge", Repository: "acme/web", Moved: 1, Redelivered: 2}}, found)
	require.Equal(t, []string{"0", "1", "2"}, forge.redelivered())
	s.starts(id, head)
	s.git.Refuse(http.StatusBadGateway)
	found, err = s.intake.Backfill(t.Context(), []string{repository})
	require.NoError(t, err)
	require.Contains(t, found[0].Problem, "502")
}

// fakeForge stands for the API of a forge, of which the tests of its client have a fake
// server: here is what back-fill makes of it.
type fakeForge struct {
	mu     sync.Mutex
	failed []api.FailedDelivery
	// hook is that of a repository, if the connection is not one of an App.
	hook  string
	since []time.Time
	sent  []string
	// hooks are those of acme/web, away is why the forge refuses to tell.
	hooks []api.Hook
	// secrets are those that the hooks sign with, by id.
	secrets map[string]string
	away    error
	// meet makes the first two who ask for hooks go on together, nil for not at all; listed counts them.
	meet   chan struct{}
	listed int
	// missing is why the connection cannot be used, nil if it can, and wanted how often it was asked for.
	missing error
	wanted  int
}

func (f *fakeForge) Forge(context.Context, string, string) (trigger.ForgeClient, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted++
	if f.missing != nil {
		return nil, f.missing
	}
	return f, nil
}

func (f *fakeForge) FailedDeliveries(_ context.Context, _, hook string, since time.Time) ([]api.FailedDelivery, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if hook != f.hook {
		return nil, api.ErrNoDeliveries
	}
	f.since = append(f.since, since)
	return slices.Clone(f.failed), nil
}

func (f *fakeForge) Redeliver(_ context.Context, _, _, delivery string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.sent = append(f.sent, delivery)
	return nil
}

func (f *fakeForge) redelivered() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.sent)
}

// After a start the forge is asked for what failed since the last time that a server ran.
func TestRedeliveryAfterAStart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	forge := &fakeForge{failed: []api.FailedDelivery{{ID: "1", RepositoryID: 42}}}
	s.start()
	_, repository := s.pipeline("web", all())
	require.NoError(t, s.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		return tx.CreateWebhook(ctx, ledger.Webhook{
			ID: "hook", Account: "default", Name: "hook", Path: "p", Connection: "forge", WebhookDetails: ledger.WebhookDetails{Kind: "github"}, Revision: 1,
		})
	}))
	s.polled(repository)
	stopped := s.now()
	s.stop()
	s.offset.Store(int64(10 * time.Hour))
	s.forges = forge
	s.start()
	require.True(t, eventually(func() bool { return len(forge.redelivered()) == 1 }))
	require.WithinRange(t, forge.since[0], stopped.Add(-10*time.Minute), stopped)
}

// Without an App, the forge is asked for what failed of the hooks that the server manages.
func TestBackfillOfManagedHooks(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.polls = 0
	forge := &fakeForge{failed: []api.FailedDelivery{{ID: "1"}}, hook: "8"}
	s.forges = forge
	s.start()
	_, repository := s.pipeline("web", all())
	require.NoError(t, s.loop.Submit(t.Context(), func(ctx context.Context, tx *loop.Tx) error {
		return errors.Join(tx.CreateWebhook(ctx, ledger.Webhook{
			ID: "hook", Account: "default", Name: "hook", Path: "p", Connection: "forge", Revision: 1,
			WebhookDetails: ledger.WebhookDetails{Kind: "gitlab"},
		}), tx.SetManagedHooks(ctx, "hook", []ledger.ManagedHook{{Repository: "Acme/web", HookID: "8"}, {Repository: "acme/lib"}}))
	}))
	found, err := s.intake.Backfill(t.Context(), []string{repository})
	require.NoError(t, err)
	require.Equal(t, []trigger.Backfilled{{Connection: "forge", Repository: "acme/web", Redelivered: 1}}, found)
	require.Equal(t, []string{"1"}, forge.redelivered())
}
