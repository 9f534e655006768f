package service

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Types shows the types of actions and rules that the pipelines of an account can use.
type Types struct {
	store   store.Store
	catalog *pipeline.Catalog
}

// NewTypes returns the use cases of types.
func NewTypes(s store.Store, catalog *pipeline.Catalog) *Types {
	return &Types{store: s, catalog: catalog}
}

// Actions returns at most size types of actions, sorted by their ids, those after the given
// id. The second result is the id to continue after, empty at the end.
func (t *Types) Actions(ctx context.Context, who auth.Identity, account, after string, size int) ([]pipeline.Type, string, error) {
	return t.page(ctx, who, account, t.catalog.Actions(), after, size)
}

// Rules returns types of rules as Actions does those of actions.
func (t *Types) Rules(ctx context.Context, who auth.Identity, account, after string, size int) ([]pipeline.Type, string, error) {
	return t.page(ctx, who, account, t.catalog.Rules(), after, size)
}

func (t *Types) page(
	ctx context.Context, who auth.Identity, account string, types []pipeline.Type, after string, size int,
) (page []pipeline.Type, next string, err error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	err = t.store.View(ctx, func(ctx context.Context, r store.Reader) error { return accountExists(ctx, r, account) })
	if err != nil {
		return nil, "", fmt.Errorf("list the types of account %q: %w", account, err)
	}
	for i := range types {
		if types[i].ID.String() <= after {
			continue
		}
		if len(page) == size {
			return page, page[size-1].ID.String(), nil
		}
		page = append(page, types[i])
	}
	return page, "", nil
}
