package trigger

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Watch returns the id of a repository for a trigger that is about to be written, and makes
// its refs be read. It is part of the transaction that writes the trigger.
func (i *Intake) Watch(ctx context.Context, tx *loop.Tx, account, connection, repository string) (string, error) {
	kind, err := i.config.Connections.Kind(ctx, tx, account, connection)
	if err != nil {
		return "", err
	}
	now := i.config.Clock()
	key := forge.RepositoryKey(kind, repository)
	found, err := tx.RepositoryNamed(ctx, account, connection, key)
	if errors.Is(err, store.ErrNotFound) {
		found = ledger.Repository{
			ID: i.config.NewID(), Account: account, Connection: connection, Name: key, CreatedAt: now,
			RepositoryDetails: ledger.RepositoryDetails{FullName: repository},
		}
		err = tx.CreateRepository(ctx, found)
		if err == nil && (i.config.Poll > 0 || i.config.Shared) {
			poll := pollTurn(found.ID, now.Add(i.pollAfter(found.ID, 0)))
			err = tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{poll}})
		}
		if err == nil {
			err = i.manageAll(ctx, tx, account, connection)
		}
	}
	if err != nil {
		return "", err
	}
	return found.ID, tx.Apply(ctx, i.observation(found.ID, now))
}

// observation makes the refs of a repository be read once.
func (i *Intake) observation(repositoryID string, at time.Time) *execution.Change {
	return &execution.Change{Turns: []*execution.Turn{{
		ID: turnID(execution.TurnObserve, i.config.NewID(), repositoryID, ""), Kind: execution.TurnObserve, DueAt: at,
	}}}
}

// checkLater makes a repository be compared with its remote once.
func (i *Intake) checkLater(repositoryID string) *execution.Change {
	return &execution.Change{Turns: []*execution.Turn{{
		ID: turnID(execution.TurnBackfill, i.config.NewID(), repositoryID, ""), Kind: execution.TurnBackfill, DueAt: i.config.Clock(),
	}}}
}

// Unwatch forgets a repository that no trigger watches any more.
func (i *Intake) Unwatch(ctx context.Context, tx *loop.Tx, repositoryID string) error {
	if repositoryID == "" {
		return nil
	}
	return tx.DeleteRepository(ctx, repositoryID)
}

// turnID names a turn about a repository, or about one of its refs. A turn without something
// unique may be replaced while it runs; see settle.
func turnID(kind execution.TurnKind, unique, repositoryID, ref string) string {
	return strings.Join([]string{string(kind), unique, repositoryID, ref}, "/")
}

// turnOf reads the name of a turn.
func turnOf(turn *execution.Turn) (repositoryID, ref string) {
	const parts = 4
	named := strings.SplitN(turn.ID, "/", parts)
	if len(named) != parts {
		return "", ""
	}
	return named[2], named[3]
}
