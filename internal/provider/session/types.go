package session

import (
	"context"
	"sync"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// typesPage is the largest page of types.
const typesPage = 1000

// listings are the types that a server lists, by account. Nil stands for a list that it
// refused.
type listings struct {
	mu        sync.Mutex
	byAccount map[string]*domain.Catalog
}

// Types returns the types of actions and rules that pipelines of an account can use. Each
// account costs one listing in a session, however many objects ask for it. It returns false
// if no server answers, if it is too old to list types, or if the caller may not list them.
// Of types that the provider does not know, the catalog holds only the ids.
func (s *Session) Types(ctx context.Context, account string) (*domain.Catalog, bool) {
	if s == nil || account == "" {
		return nil, false
	}
	s.listed.mu.Lock()
	defer s.listed.mu.Unlock()
	if types, found := s.listed.byAccount[account]; found {
		return types, types != nil
	}
	var types *domain.Catalog
	answered, err := s.Ask(ctx, func(ctx context.Context, backend *client.Client) error {
		ids, err := listTypes(ctx, backend, client.AccountName(account))
		if err == nil {
			types = catalogOf(ids)
		}
		return err
	})
	if !answered || ctx.Err() != nil {
		return nil, false
	}
	if s.listed.byAccount == nil {
		s.listed.byAccount = make(map[string]*domain.Catalog)
	}
	s.listed.byAccount[account] = types
	return types, err == nil
}

// listTypes returns the ids of all types of actions and rules.
func listTypes(ctx context.Context, backend *client.Client, parent string) ([]*headracev1.ActionTypeId, error) {
	var ids []*headracev1.ActionTypeId
	for request := (&headracev1.ListActionTypesRequest{Parent: parent, PageSize: typesPage}); ; {
		page, err := backend.Catalog.ListActionTypes(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, t := range page.GetActionTypes() {
			ids = append(ids, t.GetId())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	for request := (&headracev1.ListRuleTypesRequest{Parent: parent, PageSize: typesPage}); ; {
		page, err := backend.Catalog.ListRuleTypes(ctx, request)
		if err != nil {
			return nil, err
		}
		for _, t := range page.GetRuleTypes() {
			ids = append(ids, t.GetId())
		}
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			return ids, nil
		}
	}
}

// catalogOf returns a catalog of types with these ids.
func catalogOf(ids []*headracev1.ActionTypeId) *domain.Catalog {
	known := catalog.Builtin()
	types := make([]domain.Type, 0, len(ids))
	for _, id := range ids {
		named := domain.TypeID{
			Category: domain.Category(id.GetCategory()), Owner: id.GetOwner(), Provider: id.GetProvider(), Version: id.GetVersion(),
		}
		declared, found := known.Lookup(named)
		if !found {
			declared = domain.Type{ID: named}
		}
		types = append(types, declared)
	}
	return domain.NewCatalog(types...)
}
