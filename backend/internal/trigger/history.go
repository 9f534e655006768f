package trigger

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// historyTimeout bounds how long a person waits for what a mirror says. A fetch goes on after
// that, so the next call has its commits.
const historyTimeout = 5 * time.Second

// ErrNoHistory says that no mirror tells how two commits relate.
var ErrNoHistory = errors.New("no mirror of the repository has the commits")

// Since compares a commit of a watched repository with one that was released before. It makes no
// mirror: where no trigger needed one, the error is ErrNoHistory.
func (i *Intake) Since(ctx context.Context, repositoryID, released, head string) (mirror.History, error) {
	var repo ledger.Repository
	err := i.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		repo, err = r.Repository(ctx, repositoryID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) || err == nil && !i.config.Mirror.Has(mirrored(&repo)) {
		return mirror.History{}, ErrNoHistory
	}
	if err != nil {
		return mirror.History{}, err
	}
	limited, cancel := context.WithTimeout(ctx, historyTimeout)
	defer cancel()
	found, err := i.config.Mirror.Since(limited, mirrored(&repo), released, head)
	if err != nil && ctx.Err() == nil {
		i.config.Log.Debug("Cannot compare a commit with the last release", "repository", repo.FullName, "error", err)
		return found, ErrNoHistory
	}
	return found, err
}
