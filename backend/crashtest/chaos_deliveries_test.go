package crashtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
)

const (
	// pollEvery is how often the servers of a site read the refs of watched repositories.
	pollEvery = "2s"
	// The triggers of each repository: one starts for each push, the other for pushes that change web.
	onPush, onFiles = "pushes", "files"
	trafficBranches = 2
)

// traffic is what a forge with real repositories delivers to a site while that suffers.
type traffic struct {
	*site

	git     *gittest.HTTPServer
	senders []*sender
	lanes   []*lane
	scenes  []*scene

	mu sync.Mutex
	// accepted are the ids of deliveries that a server answered with success.
	accepted map[string]bool
	sent     map[string]int
}

// lane is one branch that gets commits, and what is not delivered of it yet.
type lane struct {
	repository *gittest.Repository
	// number is that of the repository, which is in the names of its triggers.
	number int
	ref    string
	// commits are the base and what is pushed; each second one changes a file below web.
	commits []string
	late    []push
}

// newTraffic makes a forge of repositories whose branches get so many commits, but no pipeline yet.
func (s *site) newTraffic(pushes int) *traffic {
	s.t.Helper()
	host := gittest.NewHost(s.t)
	f := &traffic{site: s, git: host.HTTP(), accepted: make(map[string]bool), sent: make(map[string]int)}
	f.git.Allow("x-access-token", gitToken)
	first := s.servers[0]
	webhook := first.connectGitea(f.git.Base(), gitToken)
	for _, server := range s.servers {
		to, err := newSender(server.hooks, webhook)
		require.NoError(s.t, err)
		// A paused server does not answer, and no forge waits for long.
		to.http.Timeout = answerWithin
		f.senders = append(f.senders, to)
	}
	all := first.chaosStages("")
	for number, mode := range []headracev1.ExecutionMode{headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED} {
		repo := host.Repository(fmt.Sprintf("acme/repo%d", number))
		repo.Commit("main", nil)
		for n := range trafficBranches {
			name := fmt.Sprintf("b%d", n)
			l := &lane{repository: repo, number: number, ref: "refs/heads/" + name, commits: []string{repo.Commit(name, nil)}}
			for i := range pushes {
				file := "docs/file"
				if webChanges(i + 1) {
					file = "web/file"
				}
				l.commits = append(l.commits, repo.Commit(name, map[string]string{file: fmt.Sprintf("%d\n", i)}))
			}
			require.NoError(s.t, moveRef(s.t.Context(), repo, l.ref, l.commits[0]))
			f.lanes = append(f.lanes, l)
		}
		stages := []*headracev1.Stage{
			{Name: "Source", Actions: []*headracev1.Action{{
				Name: "Checkout", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration:   map[string]string{"RepositoryUrl": repo.Name, "Branch": "main", "Connection": "gitea"},
				OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
			}}},
			{Name: buildStage, Actions: all[1].GetActions()[:1]},
		}
		f.scenes = append(f.scenes,
			&scene{name: triggerOf(onPush, number), mode: mode, stages: stages},
			&scene{name: triggerOf(onFiles, number), mode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL, stages: stages},
		)
	}
	return f
}

// webChanges tells whether the commit at a place changes a file below web.
func webChanges(place int) bool { return place%2 == 1 }

// triggerOf is the name of a trigger of a repository, and of its pipeline.
func triggerOf(kind string, repository int) string { return fmt.Sprintf("%s-%d", kind, repository) }

// watch makes the triggers, and waits until the ledger has where the branches are.
func (f *traffic) watch() {
	f.t.Helper()
	for number := range len(f.lanes) / trafficBranches {
		for _, kind := range []string{onPush, onFiles} {
			git := &headracev1.GitTrigger{SourceAction: "Checkout", Push: []*headracev1.GitPushFilter{{
				Branches: &headracev1.GlobFilter{Includes: []string{"**"}},
			}}}
			if kind == onPush {
				git.Coalesce = headracev1.Coalesce_COALESCE_EACH
			} else {
				git.Push[0].FilePaths = &headracev1.GlobFilter{Includes: []string{"web/**"}}
			}
			name := triggerOf(kind, number)
			_, err := f.servers[0].client.Triggers.CreateTrigger(f.t.Context(), &headracev1.CreateTriggerRequest{Trigger: &headracev1.DeclaredTrigger{
				Name: client.TriggerName("default", name), Pipeline: client.PipelineName("default", name),
				Source: &headracev1.DeclaredTrigger_Git{Git: git},
			}})
			require.NoError(f.t, err)
		}
	}
	f.servers[0].compareAll(len(f.lanes) / trafficBranches)
}

// play pushes everything, all branches at the same time, and delivers it as forges do: late, never, twice.
func (f *traffic) play(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range f.lanes {
		group.Go(func() error {
			for n := range len(l.commits) - 1 {
				rest(ctx, rand.N(2*time.Second))
				if err := f.push(ctx, l, n+1); err != nil {
					return err
				}
			}
			return f.late(ctx, l)
		})
	}
	return group.Wait()
}

// push pushes a commit of a branch and tells of it.
func (f *traffic) push(ctx context.Context, l *lane, n int) error {
	p := push{repository: l.repository.Name, ref: l.ref, before: l.commits[n-1], after: l.commits[n]}
	if err := moveRef(ctx, l.repository, l.ref, p.after); err != nil {
		return err
	}
	id := fmt.Sprintf("%s %s %d", p.repository, p.ref, n)
	tell := func(kind, id, secret string, p push) error {
		f.mu.Lock()
		f.sent[kind]++
		f.mu.Unlock()
		return f.deliver(ctx, id, secret, p)
	}
	var err error
	switch rand.IntN(8) {
	case 0:
		f.mu.Lock()
		f.sent["never sent"]++
		f.mu.Unlock()
	case 1, 2:
		l.late = append(l.late, p)
		return nil
	case 3:
		err = errors.Join(tell("once", id, hookSecret, p), tell("sent again", id, hookSecret, p))
	case 4:
		var group errgroup.Group
		group.Go(func() error { return tell("once", id, hookSecret, p) })
		group.Go(func() error { return tell("of two hooks", id+" of the organization", hookSecret, p) })
		err = group.Wait()
	case 5:
		forged := p
		forged.ref = "refs/heads/forged"
		err = errors.Join(tell("forged", id+" forged", "another secret", forged), tell("once", id, hookSecret, p))
	case 6:
		err = errors.Join(tell("once", id, hookSecret, p), f.replay(ctx))
	default:
		err = tell("once", id, hookSecret, p)
	}
	return errors.Join(err, f.late(ctx, l))
}

// late delivers what was held back, the newest first.
func (f *traffic) late(ctx context.Context, l *lane) error {
	late := l.late
	l.late = nil
	for _, p := range slices.Backward(late) {
		f.mu.Lock()
		f.sent["late"]++
		f.mu.Unlock()
		if err := f.deliver(ctx, fmt.Sprintf("%s %s %s late", p.repository, p.ref, p.after), hookSecret, p); err != nil {
			return err
		}
	}
	return nil
}

// deliver sends a delivery to any server, once.
func (f *traffic) deliver(ctx context.Context, id, secret string, p push) error {
	status, err := f.senders[rand.IntN(len(f.senders))].send(ctx, id, secret, p, usual)
	switch {
	case err != nil:
		return err
	case secret != hookSecret:
		if status == http.StatusAccepted {
			return fmt.Errorf("forged delivery %s was accepted", id)
		}
	case status == http.StatusAccepted:
		f.mu.Lock()
		defer f.mu.Unlock()
		f.accepted[id] = true
	case status != 0 && status != http.StatusServiceUnavailable:
		return fmt.Errorf("delivery %s was answered with %d", id, status)
	}
	return nil
}

// replay lets a server decide on one of the deliveries again.
func (f *traffic) replay(ctx context.Context) error {
	kept, err := call(ctx, f.site, func(ctx context.Context, c *client.Client) (*headracev1.ListDeliveriesResponse, error) {
		return c.Webhooks.ListDeliveries(ctx, &headracev1.ListDeliveriesRequest{
			Parent: client.WebhookName("default", "gitea"), Status: headracev1.DeliveryStatus_DELIVERY_STATUS_ACCEPTED, PageSize: 100,
		})
	})
	if err != nil || len(kept.GetDeliveries()) == 0 {
		return err
	}
	chosen := kept.GetDeliveries()[rand.IntN(len(kept.GetDeliveries()))]
	f.mu.Lock()
	f.sent["replayed"]++
	f.mu.Unlock()
	_, err = call(ctx, f.site, func(ctx context.Context, c *client.Client) (*headracev1.ReplayDeliveryResponse, error) {
		return c.Webhooks.ReplayDelivery(ctx, &headracev1.ReplayDeliveryRequest{Name: chosen.GetName()})
	})
	return err
}

// check compares the ledger with the remotes once nothing fails any more, and holds what was decided and
// started against what was pushed. It adds the executions to the scenes.
func (f *traffic) check(ctx context.Context) error {
	f.t.Helper()
	first := f.servers[0]
	// What a server says that has just started: its connections to the database work.
	first.kill()
	first.start()
	repositories := len(f.lanes) / trafficBranches
	first.compareAll(repositories)
	all := make(map[string][]*headracev1.TriggerDecision)
	for _, sc := range f.scenes {
		all[sc.name] = first.decisions(sc.name)
		started := make(map[string]*headracev1.TriggerDecision)
		for _, d := range all[sc.name] {
			if d.GetRef() == "refs/heads/forged" || d.GetOutcome() == headracev1.TriggerOutcome_TRIGGER_OUTCOME_FAILED {
				return fmt.Errorf("%s decided %v", sc.name, d)
			}
			if d.GetOutcome() != headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED {
				continue
			}
			if started[d.GetExecution()] != nil {
				return fmt.Errorf("two decisions started %s: %v", d.GetExecution(), d)
			}
			started[d.GetExecution()] = d
		}
		first.checkExecutions(sc.name, started)
	}
	for _, l := range f.lanes {
		head := first.remoteRefs(strings.Replace(f.git.URL(l.repository), "://", "://x-access-token:"+gitToken+"@", 1))[l.ref]
		if head != l.commits[len(l.commits)-1] {
			return fmt.Errorf("%s of the remote is at %s", l.ref, head)
		}
		pushes, files := all[triggerOf(onPush, l.number)], all[triggerOf(onFiles, l.number)]
		if err := errors.Join(checkEach(l.ref, l.commits, pushes), checkFiles(l.ref, l.commits, files)); err != nil {
			return fmt.Errorf("%s of %s: %w", l.ref, l.repository.Name, err)
		}
	}
	for id, kept := range first.checkDeliveries(f.accepted) {
		decided := make(map[string]bool)
		for _, d := range kept.GetDecisions() {
			decided[d.GetTrigger()] = true
		}
		if len(decided) != len(f.scenes)/repositories {
			return fmt.Errorf("%s was decided on by %v", id, slices.Sorted(maps.Keys(decided)))
		}
	}
	if forged := first.refusals(); forged > int64(f.sent["forged"]) {
		return fmt.Errorf("%d refused deliveries have a row, and %d were forged", forged, f.sent["forged"])
	}
	return f.collect(ctx)
}

// collect waits until all executions that triggers started have ended, and reads them.
func (f *traffic) collect(ctx context.Context) error {
	for _, sc := range f.scenes {
		for {
			executions := f.servers[0].executionsOf(sc.name)
			live := slices.ContainsFunc(executions, func(e *headracev1.Execution) bool { return !terminal(word(e.GetStatus())) })
			if ctx.Err() != nil {
				return fmt.Errorf("executions of %s do not end: %v", sc.name, executions)
			}
			if live {
				rest(ctx, 100*time.Millisecond)
				continue
			}
			for _, e := range executions {
				r := &run{script: script{name: "triggered", ends: []outcome{{status: "SUCCEEDED"}}}, pipeline: sc.name, name: e.GetName(), number: e.GetNumber()}
				if err := f.readAll(ctx, r); err != nil {
					return err
				}
				// Nobody watched it, because nobody knew its name.
				r.watched = r.read
				for _, revision := range e.GetSourceRevisions() {
					if revision.GetRevisionId() != e.GetTrigger().GetToCommit() {
						return fmt.Errorf("%s fetched %s instead of %s", e.GetName(), revision.GetRevisionId(), e.GetTrigger().GetToCommit())
					}
				}
				sc.runs = append(sc.runs, r)
			}
			break
		}
	}
	return nil
}

// moves returns the decisions of a trigger on the moves of a ref from the first of its commits to the last, in
// order, or says what is wrong: each move begins where the one before ended and is decided on once.
func moves(ref string, commits []string, decisions []*headracev1.TriggerDecision) ([]*headracev1.TriggerDecision, error) {
	from := make(map[string]*headracev1.TriggerDecision)
	for _, d := range decisions {
		told := slices.Contains([]string{"REPEATED", "OVERTAKEN", "BASELINE"}, d.GetReason())
		if d.GetRef() != ref || told || d.GetOutcome() == headracev1.TriggerOutcome_TRIGGER_OUTCOME_DUPLICATE {
			continue
		}
		other := from[d.GetFromCommit()]
		switch {
		case other == nil:
		case other.GetToCommit() == d.GetToCommit() && d.GetFoundBy() == "REPLAY" && d.GetExecution() == "":
			// It was decided on again, with the same result.
			continue
		default:
			return nil, fmt.Errorf("two moves begin at %s: %v and %v", d.GetFromCommit(), other, d)
		}
		from[d.GetFromCommit()] = d
	}
	var chain []*headracev1.TriggerDecision
	at := commits[0]
	for d := from[at]; d != nil; d = from[at] {
		if slices.Index(commits, d.GetToCommit()) <= slices.Index(commits, at) {
			return nil, fmt.Errorf("a move leads back: %v", d)
		}
		chain, at = append(chain, d), d.GetToCommit()
	}
	if at != commits[len(commits)-1] || len(chain) != len(from) {
		return nil, fmt.Errorf("%d of %d decisions lead from %s to %s instead of %s: %v", len(chain), len(from), commits[0], at, commits[len(commits)-1], decisions)
	}
	return chain, nil
}

// checkEach says what is wrong with the decisions of a trigger that starts for each move.
func checkEach(ref string, commits []string, decisions []*headracev1.TriggerDecision) error {
	chain, err := moves(ref, commits, decisions)
	for _, d := range chain {
		if d.GetOutcome() != headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED {
			return fmt.Errorf("a push started nothing: %v", d)
		}
	}
	return err
}

// checkFiles says what is wrong with the decisions of a trigger that starts for changes below web, each compared
// with the head that was decided on before.
func checkFiles(ref string, commits []string, decisions []*headracev1.TriggerDecision) error {
	chain, err := moves(ref, commits, decisions)
	base := 0
	for n, d := range chain {
		started := d.GetOutcome() == headracev1.TriggerOutcome_TRIGGER_OUTCOME_STARTED
		if d.GetReason() == "COALESCED" {
			if n == len(chain)-1 {
				return fmt.Errorf("no later decision stands for this one: %v", d)
			}
			continue
		}
		to := slices.Index(commits, d.GetToCommit())
		want := false
		for place := base + 1; place <= to; place++ {
			want = want || webChanges(place)
		}
		if started != want {
			return fmt.Errorf("commits %d to %d change web: %v, but the decision is %v", base+1, to, want, d)
		}
		base = to
	}
	return err
}
