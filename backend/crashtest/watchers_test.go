package crashtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

const (
	watchers = 30
	// silent streams more are opened and not read.
	silent = 20
	// liveWithin is how long after a restart all streams have to show what happens again.
	liveWithin = 5 * time.Second
	// flat is how much the server may grow while watchers show many changes.
	flat = 32 << 20
)

// watcher shows an account as a browser does: a stream that it opens again when it ends.
type watcher struct {
	client  *client.Client
	request *headracev1.WatchAccountRequest

	mu        sync.Mutex
	pipelines map[string]*headracev1.PipelineSummary
	snapshots int
}

// show keeps the stream open until the context ends.
func (w *watcher) show(ctx context.Context) {
	for ctx.Err() == nil {
		// Why it ended does not matter: the next one tells.
		_ = w.stream(ctx)
		rest(ctx, time.Duration(50+rand.IntN(200))*time.Millisecond)
	}
}

func (w *watcher) stream(ctx context.Context) error {
	stream, err := w.client.Watch.WatchAccount(ctx, w.request)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		w.take(m)
	}
}

func (w *watcher) take(m *headracev1.WatchAccountResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if m.GetSnapshot() {
		w.snapshots++
		w.pipelines = make(map[string]*headracev1.PipelineSummary)
	}
	for _, p := range m.GetPipelines() {
		w.pipelines[p.GetName()] = p
	}
}

// latest returns the number of the newest execution of a pipeline on the screen, 0 for none.
func (w *watcher) latest(name string) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pipelines[client.PipelineName("default", name)].GetLatestExecution().GetNumber()
}

// audience are the watchers of a site, in turn on each of its servers.
type audience struct {
	t   *testing.T
	all []*watcher
}

// watched lets watchers show a site until the test ends, beside others that stop to read.
func (s *site) watched(pipelines ...string) *audience {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var showing sync.WaitGroup
	s.t.Cleanup(showing.Wait)
	s.t.Cleanup(cancel)
	a := &audience{t: s.t}
	for i := range watchers {
		w := &watcher{
			client:  s.servers[i%len(s.servers)].dial(),
			request: &headracev1.WatchAccountRequest{Parent: "accounts/default", Overview: true},
		}
		if i%3 == 0 {
			for _, name := range pipelines[:i%len(pipelines)] {
				w.request.Pipelines = append(w.request.Pipelines, client.PipelineName("default", name))
			}
		}
		a.all = append(a.all, w)
		showing.Go(func() { w.show(ctx) })
	}
	for i := range silent {
		stream, err := s.servers[i%len(s.servers)].dial().Watch.WatchAccount(ctx, a.all[i].request)
		require.NoError(s.t, err)
		_, err = stream.Recv()
		require.NoError(s.t, err)
	}
	return a
}

// shows waits until all watchers show the newest execution of a pipeline.
func (a *audience) shows(name string, number int64, within time.Duration) {
	a.t.Helper()
	begun := time.Now()
	late := 0
	require.Eventually(a.t, func() bool {
		late = 0
		for _, w := range a.all {
			if w.latest(name) < number {
				late++
			}
		}
		return late == 0
	}, within, 10*time.Millisecond, "some of %d watchers do not show execution %d of %s", len(a.all), number, name)
	a.t.Logf("all show execution %d of %s after %s", number, name, time.Since(begun).Round(time.Millisecond))
}

// rounds starts and stops executions of the pipelines, and returns how many each has.
func (s *server) rounds(pipelines []string, n int) (number int64) {
	s.t.Helper()
	for range n {
		for _, name := range pipelines {
			execution := s.run(name)
			stopped, err := s.client.Executions.StopExecution(s.t.Context(), &headracev1.StopExecutionRequest{Name: execution, Abandon: true})
			require.NoError(s.t, err)
			number = stopped.GetExecution().GetNumber()
		}
	}
	return number
}

// TestWatchersThroughRestarts lets 30 clients show an account while servers are killed and
// stopped: all are live again soon, and the memory of the server does not grow with changes.
func TestWatchersThroughRestarts(t *testing.T) {
	t.Parallel()
	for name, replicas := range map[string]int{"SQLite": 0, "PostgreSQL": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var s *site
			if replicas == 0 {
				s = newProcess(t)
			} else {
				s = newReplicas(t, replicas)
			}
			first, last := s.servers[0], s.servers[len(s.servers)-1]
			var pipelines []string
			for i := range 10 {
				pipelines = append(pipelines, fmt.Sprintf("web%d", i))
				first.define(pipelines[i], []*headracev1.Stage{first.source(), approval()})
			}
			a := s.watched(pipelines...)
			// The first changes make what stays.
			a.shows(pipelines[9], last.rounds(pipelines, 5), patience)
			before := first.resident()
			number := last.rounds(pipelines, 8)
			a.shows(pipelines[9], number, liveWithin)
			after := first.resident()
			t.Logf("the server had %d MiB, now has %d MiB", before>>20, after>>20)
			require.Less(t, after-before, int64(flat))

			for _, end := range []func(){first.kill, first.stop} {
				end()
				if last != first {
					// The clients of the other server go on.
					last.rounds(pipelines, 1)
				}
				first.start()
				begun := time.Now()
				number = first.rounds(pipelines, 1)
				a.shows(pipelines[9], number, liveWithin)
				require.Less(t, time.Since(begun), liveWithin)
			}
			for _, w := range a.all {
				w.mu.Lock()
				require.LessOrEqual(t, w.snapshots, 1+2, "a stream begins again only when its server ended")
				w.mu.Unlock()
			}
		})
	}
}
