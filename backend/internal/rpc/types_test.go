package rpc_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

func TestTypesInPages(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	var found []string
	request := &v1.ListActionTypesRequest{Parent: "accounts/default", PageSize: 1}
	for {
		page, err := c.Catalog.ListActionTypes(t.Context(), request)
		require.NoError(t, err)
		require.Len(t, page.GetActionTypes(), 1)
		id := page.GetActionTypes()[0].GetId()
		found = append(found, id.GetCategory()+"/"+id.GetOwner()+"/"+id.GetProvider()+"/"+id.GetVersion())
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	var want []string
	for _, kind := range catalog.Builtin().Actions() {
		want = append(want, kind.ID.String())
	}
	require.Equal(t, want, found)

	_, err := c.Catalog.ListRuleTypes(t.Context(), &v1.ListRuleTypesRequest{Parent: "accounts/ghost"})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound, `account "ghost" does not exist`)
	_, err = c.Catalog.ListRuleTypes(t.Context(), &v1.ListRuleTypesRequest{Parent: "accounts/default", PageToken: "?"})
	refused(t, err, codes.InvalidArgument, "", "invalid page token")
}
