package rpc_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func rule(name string) *v1.ApprovalRule {
	return &v1.ApprovalRule{
		Name: client.ApprovalRuleName("default", name), Description: "two of security", MinimumCount: 2,
		Selector:       &v1.ApprovalSelector{Pipelines: []string{"web-*"}, Stages: []string{"Deploy"}, Actions: []string{"{Approve,Sign}"}},
		Groups:         []string{"security"},
		RequireComment: true, ExpireAfterMinutes: 60, AllowStarter: true,
		NewerExecution: v1.NewerExecution_NEWER_EXECUTION_SUPERSEDE,
	}
}

func TestApprovalRuleIsKeptAsDeclared(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	declared := rule("prod")
	request := &v1.CreateApprovalRuleRequest{ApprovalRule: declared, RequestId: "once"}
	created, err := c.ApprovalRules.CreateApprovalRule(t.Context(), request)
	require.NoError(t, err)
	again, err := c.ApprovalRules.CreateApprovalRule(t.Context(), request)
	require.NoError(t, err)
	require.True(t, proto.Equal(created, again))
	kept := proto.CloneOf(created.GetApprovalRule())
	kept.Etag, kept.CreateTime, kept.UpdateTime = "", nil, nil
	// What it guards now is not declared: the account has no pipeline and no such group.
	require.Len(t, kept.GetWarnings(), 1)
	kept.Warnings = nil
	require.True(t, proto.Equal(declared, kept), "nothing is added or lost: %v", kept)
	_, err = c.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: declared})
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)

	// Every optional field can be cleared.
	bare := &v1.ApprovalRule{
		Name: declared.GetName(), MinimumCount: 1, Selector: &v1.ApprovalSelector{Pipelines: []string{"*"}}, Etag: created.GetApprovalRule().GetEtag(),
	}
	updated, err := c.ApprovalRules.UpdateApprovalRule(t.Context(), &v1.UpdateApprovalRuleRequest{ApprovalRule: bare})
	require.NoError(t, err)
	got, err := c.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: declared.GetName()})
	require.NoError(t, err)
	require.True(t, proto.Equal(updated.GetApprovalRule(), got.GetApprovalRule()))
	kept = got.GetApprovalRule()
	bare.Etag, bare.CreateTime, bare.UpdateTime = kept.GetEtag(), kept.GetCreateTime(), kept.GetUpdateTime()
	bare.NewerExecution = v1.NewerExecution_NEWER_EXECUTION_WAIT
	require.True(t, proto.Equal(bare, kept), "%v", kept)

	same, err := c.ApprovalRules.UpdateApprovalRule(t.Context(), &v1.UpdateApprovalRuleRequest{ApprovalRule: bare})
	require.NoError(t, err)
	require.Equal(t, bare.GetEtag(), same.GetApprovalRule().GetEtag(), "an update that changes nothing keeps the etag")

	old := created.GetApprovalRule().GetEtag()
	declared.Etag = old
	_, err = c.ApprovalRules.UpdateApprovalRule(t.Context(), &v1.UpdateApprovalRuleRequest{ApprovalRule: declared})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch, "read it again")
	_, err = c.ApprovalRules.DeleteApprovalRule(t.Context(), &v1.DeleteApprovalRuleRequest{Name: declared.GetName(), Etag: old})
	refused(t, err, codes.Aborted, pipeline.ReasonEtagMismatch)
	_, err = c.ApprovalRules.DeleteApprovalRule(t.Context(), &v1.DeleteApprovalRuleRequest{Name: declared.GetName()})
	require.NoError(t, err)
	_, err = c.ApprovalRules.DeleteApprovalRule(t.Context(), &v1.DeleteApprovalRuleRequest{Name: declared.GetName()})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestApprovalRulesThatCouldNeverHoldAreRefused(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	tests := map[string]struct {
		change func(*v1.ApprovalRule)
		field  string
	}{
		"broken glob":      {func(r *v1.ApprovalRule) { r.Selector.Pipelines = []string{"web", "[a"} }, "approval_rule.selector.pipelines[1]"},
		"broken stage":     {func(r *v1.ApprovalRule) { r.Selector.Stages = []string{"{a"} }, "approval_rule.selector.stages[0]"},
		"broken action":    {func(r *v1.ApprovalRule) { r.Selector.Actions = []string{"a]["} }, "approval_rule.selector.actions[0]"},
		"endless glob":     {func(r *v1.ApprovalRule) { r.Selector.Actions = []string{strings.Repeat("{,a}", 50)} }, "approval_rule.selector.actions[0]"},
		"no pipelines":     {func(r *v1.ApprovalRule) { r.Selector.Pipelines = nil }, "approval_rule.selector.pipelines"},
		"nobody":           {func(r *v1.ApprovalRule) { r.MinimumCount = 0 }, "approval_rule.minimum_count"},
		"more than may":    {func(r *v1.ApprovalRule) { r.Groups, r.Users = nil, []string{"ann"} }, "approval_rule.minimum_count"},
		"the same twice":   {func(r *v1.ApprovalRule) { r.Users = []string{"ann", "ann"} }, "approval_rule.users"},
		"a word of later":  {func(r *v1.ApprovalRule) { r.NewerExecution = 7 }, "approval_rule.newer_execution"},
		"before it begins": {func(r *v1.ApprovalRule) { r.ExpireAfterMinutes = -1 }, "approval_rule.expire_after_minutes"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wrong := rule("prod")
			test.change(wrong)
			_, err := c.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: wrong})
			require.Equal(t, []string{test.field}, fields(err), "%v", err)
		})
	}
}

func TestApprovalRulesAreListedByPages(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	for i := range 3 {
		_, err := c.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: rule(fmt.Sprint("r", i))})
		require.NoError(t, err)
	}
	first, err := c.ApprovalRules.ListApprovalRules(t.Context(), &v1.ListApprovalRulesRequest{Parent: "accounts/default", PageSize: 2})
	require.NoError(t, err)
	require.Len(t, first.GetApprovalRules(), 2)
	rest, err := c.ApprovalRules.ListApprovalRules(t.Context(), &v1.ListApprovalRulesRequest{
		Parent: "accounts/default", PageSize: 2, PageToken: first.GetNextPageToken(),
	})
	require.NoError(t, err)
	require.Len(t, rest.GetApprovalRules(), 1)
	require.Empty(t, rest.GetNextPageToken())
}
