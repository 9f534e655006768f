package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gitauth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/gittest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	intake "github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

const (
	// pollConnections is the number of connections that share the repositories.
	pollConnections = 10
	// pollsAtOnce is how many ls-remote the limit runs at once, which is what a server does.
	pollsAtOnce = 16
	pollRounds  = 3
	// pollInterval is longer than a round.
	pollInterval = time.Hour
	// firstReads is how long the repositories may take to be read for the first time.
	firstReads = 10 * time.Minute
)

// measurePolls measures a poll of each of 1,000 repositories by a server, from the turns that are
// all due to the ledger, beside as many git ls-remote by themselves. They take turns, so that other
// load on the machine slows both.
func (r *run) measurePolls(ctx context.Context) error {
	return withRepositories(ctx, r.dir, func(host *gittest.Host) error {
		repo := host.Repository("real")
		repo.Commit("main", nil)
		for n := range r.polls {
			if err := os.Symlink(repo.Dir, filepath.Join(host.Dir(), repositoryName(n)+".git")); err != nil {
				return err
			}
		}
		base := host.HTTP().Base()
		return r.withPolls(ctx, base, func(p *polls) error {
			var alone, took []time.Duration
			for range pollRounds {
				begun := time.Now()
				if err := r.pollAlone(ctx, base); err != nil {
					return err
				}
				alone = append(alone, time.Since(begun))
				begun = time.Now()
				if err := p.round(ctx); err != nil {
					return err
				}
				took = append(took, time.Since(begun))
				if err := r.allObserved(ctx, p.store); err != nil {
					return err
				}
			}
			r.latency("poll_1000_repositories", took, at(alone, 50), "1,000 git ls-remote, 16 at once", "ratio <= 1.5")
			return nil
		})
	})
}

func repositoryName(n int) string { return "r" + strconv.Itoa(n) }

func (r *run) pollAlone(ctx context.Context, base string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(pollsAtOnce)
	for n := range r.polls {
		group.Go(func() error {
			return gitIn(ctx, "", "ls-remote", "--quiet", "--heads", "--tags", base+"/"+repositoryName(n)+".git")
		})
	}
	return group.Wait()
}

// anyConnection says that each connection is one of a git server.
type anyConnection struct{}

// Kind implements trigger.Connections.
func (anyConnection) Kind(context.Context, store.Reader, string, string) (forge.Kind, error) {
	return "", nil
}

// polls are the turns of a server that polls repositories.
type polls struct {
	store store.Store
	loop  *loop.Loop
	turns []*execution.Turn

	mu sync.Mutex
	// running are the turns of a round that have not ended yet, which began at a time.
	running map[string]struct{}
	begun   time.Time
	ended   chan struct{}
}

// withPolls runs a server that watches all repositories.
func (r *run) withPolls(ctx context.Context, base string, measure func(*polls) error) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	dir := filepath.Join(r.dir, "polls")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	log := hclog.New(&hclog.LoggerOptions{Level: hclog.Error})
	open, err := onSQLite().fresh(ctx, dir)
	if err != nil {
		return err
	}
	db, queue, err := open(ctx, log)
	if err != nil {
		return err
	}
	mirrors, err := mirror.Open(mirror.Config{
		Dir: filepath.Join(dir, "mirrors"), Limit: mirrorLimit, Clock: time.Now, Log: log,
		Remote: func(_ context.Context, r mirror.Repository) (gitauth.Remote, error) {
			return gitauth.Remote{URL: base + "/" + r.Name + ".git"}, nil
		},
	})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	p := &polls{store: db}
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	p.loop = loop.New(loop.Config{
		Store: db, Queue: queue, Catalog: catalog.Builtin(), Registry: action.NewRegistry(), Clock: time.Now, NewID: newID, Lease: time.Hour,
		Observe: p.observe, Log: log,
	})
	watching := intake.New(intake.Config{
		Store: db, Loop: p.loop, Catalog: catalog.Builtin(), Mirror: mirrors, Connections: anyConnection{}, Clock: time.Now, NewID: newID,
		Log: log, Poll: pollInterval,
	})
	group := &errgroup.Group{}
	group.Go(func() error { return p.loop.Run(ctx) })
	err = r.watchAll(ctx, p, watching)
	if err == nil {
		err = measure(p)
	}
	cancel()
	return errors.Join(err, group.Wait(), mirrors.Close(), db.Close())
}

// watchAll makes the server watch all repositories, and waits until their refs are known.
func (r *run) watchAll(ctx context.Context, p *polls, watching *intake.Intake) error {
	if err := p.loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		if err := tx.CreateAccount(ctx, auth.Account{Name: account}); err != nil {
			return err
		}
		for n := range r.polls {
			if _, err := watching.Watch(ctx, tx, account, "c"+strconv.Itoa(n%pollConnections), repositoryName(n)); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		return err
	}
	// The first reads are more at once than polls, and are tried again after an error.
	patient, cancel := context.WithTimeout(ctx, firstReads)
	defer cancel()
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	for err := r.allObserved(ctx, p.store); err != nil; err = r.allObserved(ctx, p.store) {
		select {
		case <-patient.Done():
			return err
		case <-ticker.C:
		}
	}
	return p.store.View(ctx, func(ctx context.Context, reader store.Reader) error {
		all, err := reader.Turns(ctx)
		p.turns = slices.DeleteFunc(all, func(t *execution.Turn) bool { return t.Kind != execution.TurnPoll })
		return err
	})
}

// round makes all polls due and waits until each has made itself due again.
func (p *polls) round(ctx context.Context) error {
	due := &execution.Change{}
	p.mu.Lock()
	p.begun, p.ended, p.running = time.Now(), make(chan struct{}), make(map[string]struct{})
	for _, turn := range p.turns {
		now := *turn
		now.DueAt = p.begun
		due.Turns = append(due.Turns, &now)
		p.running[turn.ID] = struct{}{}
	}
	p.mu.Unlock()
	if err := p.loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error { return tx.Apply(ctx, due) }); err != nil {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// observe notes the turns of a commit that are due after this round.
func (p *polls) observe(change *execution.Change) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := len(p.running)
	for _, turn := range change.Turns {
		if turn.DueAt.Sub(p.begun) > pollInterval/2 {
			delete(p.running, turn.ID)
		}
	}
	if before > 0 && len(p.running) == 0 {
		close(p.ended)
	}
}

// allObserved returns an error unless every repository was read, at the last time without a problem.
func (r *run) allObserved(ctx context.Context, db store.Store) error {
	var all []ledger.Repository
	err := db.View(ctx, func(ctx context.Context, reader store.Reader) (err error) {
		all, err = reader.Repositories(ctx, account, "", store.Page{Size: r.polls})
		return err
	})
	if err != nil {
		return err
	}
	read := 0
	for n := range all {
		if all[n].Problem != "" {
			return errors.New(all[n].Problem)
		}
		if !all[n].ObservedAt.IsZero() {
			read++
		}
	}
	if read != r.polls {
		return fmt.Errorf("%d of %d repositories have been read", read, r.polls)
	}
	return nil
}
