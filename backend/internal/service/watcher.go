package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Watcher keeps the ledger of the repositories that triggers watch. Its methods are part of
// the transaction that writes the trigger.
type Watcher interface {
	// Watch returns the id of a repository for a trigger that is about to be written, and
	// makes its refs be read.
	Watch(ctx context.Context, tx *loop.Tx, account, connection, repository string) (repositoryID string, err error)
	// Unwatch forgets a repository that no trigger watches any more.
	Unwatch(ctx context.Context, tx *loop.Tx, repositoryID string) error
}

// watch returns the id of a repository for a trigger that is about to be written. A source
// action may have the address of the repository, and deliveries have its name, so it is watched
// by its name. invalid says why a connection cannot have such a repository.
func watch(ctx context.Context, tx *loop.Tx, watcher Watcher, account, name, repository string) (repositoryID string, invalid, err error) {
	c, err := tx.Connection(ctx, account, name)
	if err != nil {
		return "", nil, err
	}
	path, invalid := c.RepositoryPath(repository)
	if invalid == nil {
		invalid = pipeline.CheckRepository(c.Type, path)
	}
	if invalid != nil {
		return "", invalid, nil
	}
	repositoryID, err = watcher.Watch(ctx, tx, account, name, path)
	return repositoryID, nil, err
}
