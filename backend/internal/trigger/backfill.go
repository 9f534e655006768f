package trigger

import (
	"context"
	"errors"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// spread is how far apart repositories are read that a sweep found.
const spread = 20 * time.Millisecond

// sweep is the handler of turns that look for what was missed, and are made due again.
func (i *Intake) sweep(ctx context.Context, turn *loop.Turn) error {
	if i.config.Backfill == 0 {
		return i.leaveSweep(ctx, turn)
	}
	if err := i.lookBack(ctx, turn.DueAt.Add(-i.config.Backfill)); err != nil {
		return err
	}
	return repeatAt(ctx, turn, i.config.Clock().Add(i.config.Backfill))
}

// leaveSweep leaves it to other servers, because it is off on this one.
func (i *Intake) leaveSweep(ctx context.Context, turn *loop.Turn) error {
	if !i.config.Shared {
		return finish(ctx, turn)
	}
	return repeatAt(ctx, turn, i.config.Clock().Add(offLater))
}

// lookBack makes turns that look for what was missed: one for each webhook whose forge may
// have deliveries that failed, and one for each repository that was not read after a time.
func (i *Intake) lookBack(ctx context.Context, before time.Time) error {
	now := i.config.Clock()
	due := now
	// since is from when on deliveries may be missing, by account and connection.
	since := make(map[[2]string]time.Time)
	err := i.eachRepository(ctx, func(ctx context.Context, tx *loop.Tx, all []ledger.Repository) error {
		change := &execution.Change{}
		for n := range all {
			r := &all[n]
			if r.ObservedAt.IsZero() {
				// A new one has a turn of its own.
				continue
			}
			of := [2]string{r.Account, r.Connection}
			if from := since[of]; r.Failures == 0 && (from.IsZero() || r.ObservedAt.Before(from)) {
				since[of] = r.ObservedAt
			}
			if r.ObservedAt.After(before) {
				continue
			}
			due = due.Add(spread)
			change.Turns = append(change.Turns, &execution.Turn{
				ID: turnID(execution.TurnBackfill, "", r.ID, ""), Kind: execution.TurnBackfill, DueAt: due,
			})
		}
		return tx.Apply(ctx, change)
	})
	if err != nil || len(since) == 0 {
		return err
	}
	return i.config.Loop.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		change := &execution.Change{}
		for of, from := range since {
			webhooks, err := tx.WebhooksOfConnection(ctx, of[0], of[1])
			if err != nil {
				return err
			}
			for _, name := range webhooks {
				change.Turns = append(change.Turns, redelivery(of[0], name, from, now))
			}
		}
		return tx.Apply(ctx, change)
	})
}

// backfill is the handler of turns that compare the ledger of a repository with its remote.
func (i *Intake) backfill(ctx context.Context, turn *loop.Turn) error {
	repositoryID, _ := turnOf(turn.Turn)
	s, err := i.Snapshot(ctx, repositoryID)
	if errors.Is(err, store.ErrNotFound) {
		return finish(ctx, turn)
	}
	if err != nil {
		return err
	}
	now := i.config.Clock()
	end, at := i.reads.begin(s, now)
	if end == nil {
		return repeatAt(ctx, turn, at)
	}
	defer func() { end(i.config.Clock()) }()
	refs, err := i.config.Mirror.Refs(ctx, mirrored(&s.Repository))
	if err != nil {
		// Not given up: what was missed is found as soon as the remote answers.
		return i.failed(ctx, turn, s, err, func(failures int) time.Time { return now.Add(jitter(repositoryID, backoff(failures))) })
	}
	_, err = i.observed(ctx, s, refs, ledger.ByBackfill, turn, func() *execution.Change { return done(turn) })
	if errors.Is(err, store.ErrNotFound) {
		return finish(ctx, turn)
	}
	return err
}

// Backfilled is what a comparison of a repository with its remote found.
type Backfilled struct {
	// Connection and Repository are names. Connection is empty if a source action has a token.
	Connection, Repository string
	// Moved is how many refs had moved unseen.
	Moved int
	// Redelivered is how many failed deliveries the forge was asked to send again.
	Redelivered int
	// Problem says why the comparison failed, empty if it did not.
	Problem string
}

// Backfill asks forges for deliveries that failed, and compares repositories with their
// remotes, now. A remote that cannot be read is a problem of its repository and no error.
func (i *Intake) Backfill(ctx context.Context, repositoryIDs []string) ([]Backfilled, error) {
	var all []*Snapshot
	for _, id := range repositoryIDs {
		s, err := i.Snapshot(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	found, err := i.redeliverAll(ctx, all)
	if err != nil {
		return nil, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readsOfConnection)
	for n, s := range all {
		group.Go(func() error {
			// It may be a while since the first ones were read.
			now, err := i.Snapshot(ctx, s.Repository.ID)
			if errors.Is(err, store.ErrNotFound) {
				return nil
			}
			if err != nil {
				return err
			}
			refs, err := i.config.Mirror.Refs(ctx, mirrored(&now.Repository))
			if err != nil {
				found[n].Problem = err.Error()
				return ctx.Err()
			}
			if found[n].Moved, err = i.Observed(ctx, now, refs, ledger.ByBackfill); errors.Is(err, store.ErrNotFound) {
				return nil
			}
			return err
		})
	}
	return found, group.Wait()
}
