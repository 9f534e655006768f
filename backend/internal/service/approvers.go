package service

import (
	"context"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// approvers returns who may approve in an account now. Who they are is shown to admins
// only.
func approvers(ctx context.Context, r store.TokenReader, who auth.Identity, account string, now time.Time) (approval.People, error) {
	people := approval.People{Groups: make(map[string][]string), Hidden: !who.May(auth.Administer, account)}
	tokens, err := r.Tokens(ctx, store.Page{})
	if err != nil {
		return people, err
	}
	for i := range tokens {
		token := &tokens[i]
		if token.Identity().May(auth.Approve, account) && !token.Expired(now) {
			people.Groups[token.Principal] = slices.Concat(people.Groups[token.Principal], token.Groups)
		}
	}
	return people, nil
}
