package trigger_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/generic"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/github"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/gitlab"
	"github.com/headrace/terraform-provider-headrace/backend/internal/hooks"
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

// tester is what testing.T and rapid.T have in common.
type tester interface {
	require.TestingT
	Helper()
	Logf(format string, args ...any)
}

// remote is a repository in memory. It stands for the mirror, which has tests with real git.
type remote struct {
	mu      sync.Mutex
	refs    map[string]string
	parents map[string]string
	files   map[string][]string
	subject map[string]string
	next    int
	// down makes every question fail.
	down bool
	// asked counts how often refs were read.
	asked int
	// reading receives, for each reading of refs, what is closed to let the answer through.
	reading chan chan struct{}
	// held receives each question about files, which gets no answer while it is set.
	held chan struct{}
}

func newRemote() *remote {
	return &remote{refs: make(map[string]string), parents: make(map[string]string), files: make(map[string][]string), subject: make(map[string]string)}
}

var errDown = errors.New("the remote is down")

func (r *remote) commit(parent, subject string, files ...string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next++
	id := fmt.Sprintf("%040x", r.next)
	r.parents[id], r.files[id], r.subject[id] = parent, files, subject
	return id
}

// message is that of a commit.
func (r *remote) message(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.subject[id]
}

// set moves a ref and returns where it was.
func (r *remote) set(ref, to string) (from string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	from = r.refs[ref]
	if to == "" {
		delete(r.refs, ref)
	} else {
		r.refs[ref] = to
	}
	return from
}

func (r *remote) at(ref string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refs[ref]
}

// down makes every question to the remote fail, or ends that.
func (b *bed) down(down bool) {
	b.remote.mu.Lock()
	defer b.remote.mu.Unlock()
	b.remote.down = down
}

// hold lets questions about files wait, or ends that with nil.
func (b *bed) hold(held chan struct{}) {
	b.remote.mu.Lock()
	defer b.remote.mu.Unlock()
	b.remote.held = held
}

// Refs implements trigger.Mirror.
func (r *remote) Refs(context.Context, mirror.Repository) (*mirror.Refs, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	if r.down {
		return nil, errDown
	}
	refs := &mirror.Refs{DefaultBranch: "refs/heads/main"}
	for name, id := range r.refs {
		refs.All = append(refs.All, mirror.Ref{Name: name, ID: id, Commit: id})
	}
	if reading := r.reading; reading != nil {
		r.mu.Unlock()
		release := make(chan struct{})
		reading <- release
		<-release
		r.mu.Lock()
	}
	return refs, nil
}

func (r *remote) history(id string) (all []string) {
	for id != "" {
		all = append(all, id)
		id = r.parents[id]
	}
	return all
}

// ChangedFiles implements trigger.Mirror.
func (r *remote) ChangedFiles(ctx context.Context, _ mirror.Repository, base, head string) (mirror.Changes, error) {
	r.mu.Lock()
	held := r.held
	r.mu.Unlock()
	if held != nil {
		held <- struct{}{}
		<-ctx.Done()
		return mirror.Changes{}, ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return mirror.Changes{}, errDown
	}
	seen := r.history(base)
	var changes mirror.Changes
	for _, id := range r.history(head) {
		if !slices.Contains(seen, id) {
			for _, path := range r.files[id] {
				changes.Paths = append(changes.Paths, []byte(path))
			}
		}
	}
	return changes, nil
}

// MergeBase implements trigger.Mirror.
func (r *remote) MergeBase(_ context.Context, _ mirror.Repository, a, b string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	of := r.history(a)
	for _, id := range r.history(b) {
		if slices.Contains(of, id) {
			return id, nil
		}
	}
	return "", nil
}

// IsAncestor implements trigger.Mirror.
func (r *remote) IsAncestor(_ context.Context, _ mirror.Repository, ancestor, of string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Contains(r.history(of), ancestor), nil
}

// Commit implements trigger.Mirror.
func (r *remote) Commit(_ context.Context, _ mirror.Repository, id string) (mirror.Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return mirror.Commit{}, errDown
	}
	return mirror.Commit{ID: id, Subject: r.subject[id]}, nil
}

// Has implements trigger.Mirror.
func (*remote) Has(mirror.Repository) bool { return false }

// Since implements trigger.Mirror.
func (*remote) Since(context.Context, mirror.Repository, string, string) (mirror.History, error) {
	return mirror.History{}, errDown
}

// hub is a connection to the forge of a bed.
type hub struct{ *bed }

// Kind implements trigger.Connections.
func (h hub) Kind(context.Context, store.Reader, string, string) (forge.Kind, error) {
	return h.forge, nil
}

// unsealed opens values that nobody sealed.
type unsealed struct{}

// Open implements trigger.Opener.
func (unsealed) Open(_ context.Context, sealed []byte, _ string) ([]byte, error) { return sealed, nil }

// bed is a server's triggers on a database.
type bed struct {
	t      tester
	store  store.Store
	remote *remote
	clock  func() time.Time
	// forge is that of the connection.
	forge forge.Kind
	*process
}

// process is what a kill ends.
type process struct {
	intake *trigger.Intake
	loop   *loop.Loop
	end    func()
}

func newID() string { return uuid.Must(uuid.NewV7()).String() }

// newBed opens a bed on SQLite with a pipeline and a webhook, and returns how to close it.
func newBed(t tester, dir string) (*bed, func()) {
	t.Helper()
	s, err := sqlite.Open(context.Background(), sqlite.Config{Path: filepath.Join(dir, newID()+".db")})
	require.NoError(t, err)
	return bedOn(t, s)
}

func bedOn(t tester, s store.Store) (*bed, func()) { return bedWith(t, s, time.Now) }

func bedWith(t tester, s store.Store, clock func() time.Time) (*bed, func()) {
	b := &bed{t: t, store: s, remote: newRemote(), clock: clock, forge: forge.GitHub}
	b.process = b.boot()
	def := pipeline.Definition{
		Variables: []pipeline.Variable{{Name: "Image", DefaultValue: new(string)}},
		Stages: []pipeline.Stage{{Name: "Source", Actions: []pipeline.Action{{
			Name: "Checkout", Category: pipeline.CategorySource, Owner: pipeline.Owner, Provider: "Git", Version: "1", RunOrder: 1,
			Configuration: map[string]string{"RepositoryUrl": "https://example.com/acme/web.git"}, OutputArtifacts: []pipeline.OutputArtifact{{Name: "src"}},
		}}}, {Name: "Release", Actions: []pipeline.Action{{
			Name: "sign", Category: pipeline.CategoryApproval, Owner: pipeline.Owner, Provider: "Manual", Version: "1", RunOrder: 1,
		}}}},
	}
	require.NoError(t, s.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return errors.Join(
			tx.CreateAccount(ctx, auth.Account{Name: "default"}),
			tx.CreatePipeline(ctx, definition.Pipeline{ID: "web", Account: "default", Name: "web", Version: 1, Revision: 1}),
			tx.CreatePipelineVersion(ctx, definition.Version{PipelineID: "web", Version: 1, Definition: def}),
			tx.CreateWebhook(ctx, ledger.Webhook{
				ID: "hook", Account: "default", Name: "hub", Path: "path", Connection: "hub", WebhookDetails: ledger.WebhookDetails{Kind: forge.GitHub},
				Secrets: []ledger.WebhookSecret{{Version: 1, Sealed: []byte(hookSecret)}}, Revision: 1,
			}),
			tx.CreateWebhook(ctx, ledger.Webhook{
				ID: "events", Account: "default", Name: "events", Path: "other", WebhookDetails: ledger.WebhookDetails{Kind: forge.Generic},
				Secrets: []ledger.WebhookSecret{{Version: 1, Sealed: []byte(hookSecret)}}, Revision: 1,
			}),
		)
	}))
	return b, func() {
		b.end()
		require.NoError(t, s.Close())
	}
}

// boot starts a process on the database.
func (b *bed) boot() *process {
	log := hclog.NewNullLogger()
	runs := loop.New(loop.Config{
		Store: b.store, Queue: embedded.New(embedded.Config{Workers: 4, Clock: b.clock, Retry: time.Millisecond, Log: log}),
		Catalog: catalog.Builtin(), Registry: action.NewRegistry(), Clock: b.clock, NewID: newID, Lease: time.Minute, Log: log,
	})
	p := &process{loop: runs, intake: trigger.New(trigger.Config{
		Store: b.store, Loop: runs, Catalog: catalog.Builtin(), Mirror: b.remote, Connections: hub{b}, Secrets: unsealed{},
		Formats: map[forge.Kind]forge.Format{forge.GitHub: github.Deliveries{}, forge.GitLab: gitlab.Deliveries{}, forge.Generic: generic.Deliveries{}},
		Clock:   b.clock, NewID: newID, Log: log,
	})}
	require.NoError(b.t, runs.Recover(context.Background()))
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- runs.Run(ctx) }()
	p.end = sync.OnceFunc(func() {
		cancel()
		require.NoError(b.t, <-done)
	})
	return p
}

// kill ends the process in the middle of its turns, and starts another.
func (b *bed) kill() {
	b.end()
	b.process = b.boot()
}

// watch declares a trigger and waits until its refs were read.
func (b *bed) watch(name string, git declared.Git) ledger.Trigger {
	b.t.Helper()
	git.SourceAction = "Checkout"
	now := b.clock()
	var created ledger.Trigger
	require.NoError(b.t, b.loop.Submit(context.Background(), func(ctx context.Context, tx *loop.Tx) error {
		id, err := b.intake.Watch(ctx, tx, "default", "hub", "Acme/Web")
		if err != nil {
			return err
		}
		created = ledger.Trigger{
			ID: newID(), Account: "default", Name: name, Pipeline: "web", RepositoryID: id, Declared: ledger.Declared{Git: &git},
			Revision: 1, CreatedAt: now, UpdatedAt: now,
		}
		return tx.CreateTrigger(ctx, created)
	}))
	b.settled()
	return created
}

// read runs fn in a view.
func (b *bed) read(fn func(context.Context, store.Reader) error) {
	b.t.Helper()
	require.NoError(b.t, b.store.View(context.Background(), fn))
}

// settled waits until no turn of a trigger is pending.
func (b *bed) settled() {
	b.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		left := 0
		b.read(func(ctx context.Context, r store.Reader) error {
			turns, err := r.Turns(ctx)
			for _, turn := range turns {
				if turn.Kind == execution.TurnRef || turn.Kind == execution.TurnCompare || turn.Kind == execution.TurnObserve || turn.Kind == execution.TurnBackfill {
					left++
				}
			}
			return err
		})
		if left == 0 {
			return
		}
		require.True(b.t, time.Now().Before(deadline), "%d turns are left", left)
		<-time.After(time.Millisecond)
	}
}

// hookSecret is the secret of the webhooks of a bed.
const hookSecret = "secret"

// send sends a push as GitHub does, over HTTP, and returns the status of the answer.
func (b *bed) send(id, secret string, s forge.Signal) int {
	body := pushed(s)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	request := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/hooks/github/path", bytes.NewReader(body))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-GitHub-Event", "push")
	request.Header.Set("X-GitHub-Delivery", id)
	request.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
	answer := httptest.NewRecorder()
	hooks.NewHandler(hooks.Config{
		Intake: b.intake, Formats: map[forge.Kind]forge.Format{forge.GitHub: github.Deliveries{}}, Clock: b.clock, Log: hclog.NewNullLogger(),
		Observe: func(forge.Kind, hooks.Outcome, time.Duration) {},
	}).ServeHTTP(answer, request)
	return answer.Code
}

// pushed is the body of a delivery about a move, as GitHub writes it.
func pushed(s forge.Signal) []byte {
	id := func(commit string) string { return cmp.Or(commit, strings.Repeat("0", 40)) }
	var head any
	if s.Head.ID != "" {
		head = map[string]any{"id": s.Head.ID, "message": s.Head.Message}
	}
	// The error is about types that have no JSON.
	body, _ := json.Marshal(map[string]any{
		"ref": s.Ref, "before": id(s.Before), "after": id(s.After), "head_commit": head, "pusher": map[string]any{"name": "ann"},
		"repository": map[string]any{"id": s.Repository.ID, "full_name": s.Repository.FullName, "default_branch": s.Repository.DefaultBranch},
	})
	return body
}

// push is the signal of a move.
func (b *bed) push(ref, from, to string) forge.Signal {
	s := forge.Signal{
		Kind: forge.RefMoved, Repository: forge.Repository{FullName: "Acme/Web", ID: 7, DefaultBranch: "main"}, Ref: ref, Before: from, After: to,
		Created: from == "", Deleted: to == "",
	}
	if to != "" {
		s.Head = forge.Commit{ID: to, Message: b.remote.message(to)}
	}
	return s
}

// delivery is a verified delivery of signals.
func (b *bed) delivery(id string, signals ...forge.Signal) forge.Delivery {
	b.t.Helper()
	hook, err := b.intake.Webhook(context.Background(), forge.GitHub, "path")
	require.NoError(b.t, err)
	return forge.Delivery{
		Content: forge.Content{ID: id, Event: "push", Body: []byte(`{"a":1}`)}, Webhook: hook.Name, Etag: hook.Etag, Kind: forge.GitHub,
		SecretVersion: 1, Address: "192.0.2.1", ReceiveTime: b.clock(), Signals: signals,
	}
}

func (b *bed) deliver(signals ...forge.Signal) string {
	b.t.Helper()
	id := newID()
	require.NoError(b.t, b.intake.Deliver(context.Background(), b.delivery(id, signals...)))
	return id
}

// replay decides again on a delivery that was sent.
func (b *bed) replay(id string) error {
	b.t.Helper()
	var hook ledger.Webhook
	var kept ledger.Delivery
	var body []byte
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		if hook, err = r.Webhook(ctx, "default", "hub"); err != nil {
			return err
		}
		if kept, err = r.DeliveryByDedup(ctx, hook.ID, id); err != nil {
			return err
		}
		body, err = r.DeliveryBody(ctx, kept.Account, kept.ID)
		return err
	})
	return b.intake.Replay(context.Background(), &hook, kept, body, "rita")
}

// poll compares the repository with the remote, as a poll does.
func (b *bed) poll(repositoryID string) int {
	b.t.Helper()
	found, err := b.intake.Backfill(context.Background(), []string{repositoryID})
	require.NoError(b.t, err)
	require.Len(b.t, found, 1)
	return found[0].Moved
}

// decisions are those of a trigger, oldest first.
func (b *bed) decisions(triggerID string) (all []ledger.Decision) {
	b.t.Helper()
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		all, err = r.Decisions(ctx, store.DecisionFilter{TriggerID: triggerID})
		slices.Reverse(all)
		return err
	})
	return all
}

// executions are all, oldest first.
func (b *bed) executions() (all []*execution.Execution) {
	b.t.Helper()
	b.read(func(ctx context.Context, r store.Reader) (err error) {
		all, err = r.Executions(ctx, store.ExecutionFilter{Account: "default"})
		slices.Reverse(all)
		return err
	})
	return all
}
