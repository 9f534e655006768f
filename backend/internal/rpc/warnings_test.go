package rpc_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// network plans, asks and applies.
func network() *v1.Pipeline {
	p := inline("default", "network")
	p.Definition.Stages = []*v1.Stage{
		stage("Source", git("Fetch")), stage("Plan", commands("Show", "true")), stage("Apply", manual("Approve")),
	}
	return p
}

func approvalRule(name string, selector *v1.ApprovalSelector) *v1.ApprovalRule {
	return &v1.ApprovalRule{Name: client.ApprovalRuleName("default", name), MinimumCount: 1, Selector: selector}
}

func createRule(t *testing.T, c *client.Client, rule *v1.ApprovalRule, dry bool) *v1.ApprovalRule {
	t.Helper()
	resp, err := c.ApprovalRules.CreateApprovalRule(t.Context(), &v1.CreateApprovalRuleRequest{ApprovalRule: rule, ValidateOnly: dry})
	require.NoError(t, err)
	return resp.GetApprovalRule()
}

// said returns warnings as "field: message".
func said(warnings []*v1.Warning) []string {
	texts := []string{}
	for _, w := range warnings {
		texts = append(texts, w.GetField()+": "+w.GetMessage())
	}
	return texts
}

const typo = `rule network-apply: stage "Aply" matches nothing; pipeline network has stages Source, Plan, Apply; did you mean Apply?`

func TestAMisspeltRuleIsWarnedOf(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	misspelt := approvalRule("network-apply", &v1.ApprovalSelector{Pipelines: []string{"network"}, Stages: []string{"Aply"}})
	create(t, c, network())
	want := []string{"approval_rule.selector.stages[0]: " + typo}
	require.Equal(t, want, said(createRule(t, c, misspelt, true).GetWarnings()))
	list := func() []*v1.ApprovalRule {
		resp, err := c.ApprovalRules.ListApprovalRules(t.Context(), &v1.ListApprovalRulesRequest{Parent: "accounts/default"})
		require.NoError(t, err)
		return resp.GetApprovalRules()
	}
	require.Empty(t, list(), "only validated")
	require.Equal(t, want, said(createRule(t, c, misspelt, false).GetWarnings()))
	require.Equal(t, want, said(list()[0].GetWarnings()))
	require.Equal(t, string(pipeline.ReasonSelectorMatchesNothing), list()[0].GetWarnings()[0].GetReason())
	require.Zero(t, list()[0].GetGuardCount())

	misspelt.Selector.Stages = []string{"Apply"}
	update := func(dry bool) *v1.ApprovalRule {
		resp, err := c.ApprovalRules.UpdateApprovalRule(t.Context(), &v1.UpdateApprovalRuleRequest{ApprovalRule: misspelt, ValidateOnly: dry})
		require.NoError(t, err)
		return resp.GetApprovalRule()
	}
	for _, dry := range []bool{true, false} {
		require.Len(t, list()[0].GetWarnings(), 1, "the stored rule is still the misspelt one")
		rule := update(dry)
		require.Empty(t, rule.GetWarnings())
		require.EqualValues(t, 1, rule.GetGuardCount())
		require.Equal(t, "Apply", rule.GetGuards()[0].GetStage())
	}
	got, err := c.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: misspelt.GetName()})
	require.NoError(t, err)
	require.EqualValues(t, 1, got.GetApprovalRule().GetGuardCount())
	require.Empty(t, got.GetApprovalRule().GetWarnings())
}

// The other order: the rule is there before its pipeline.
func TestAPipelineWarnsOfAMisspeltRule(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	selector := &v1.ApprovalSelector{Pipelines: []string{"network"}, Stages: []string{"Aply"}}
	require.Equal(t, []string{`approval_rule.selector.pipelines[0]: rule network-apply: pipeline "network" matches nothing; account default has no pipelines yet`},
		said(createRule(t, c, approvalRule("network-apply", selector), false).GetWarnings()))
	createRule(t, c, approvalRule("elsewhere", &v1.ApprovalSelector{Pipelines: []string{"web"}, Stages: []string{"Nowhere"}}), false)
	for _, dry := range []bool{true, false} {
		resp, err := c.Pipelines.CreatePipeline(t.Context(), &v1.CreatePipelineRequest{Pipeline: network(), ValidateOnly: dry})
		require.NoError(t, err)
		require.Equal(t, []string{": " + typo}, said(resp.GetWarnings()))
	}
	right := network()
	right.Definition.Stages[2].Name = "Aply"
	for _, dry := range []bool{true, false} {
		resp, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: right, ValidateOnly: dry})
		require.NoError(t, err)
		require.Empty(t, resp.GetWarnings())
	}
}

func TestPeopleOfARuleWithoutAToken(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	b.Account("other")
	b.Token("alice", []string{"ops"}, backendtest.Binding("default", approver))
	b.Token("dan", []string{"devs"}, backendtest.Binding("default", deployer))
	b.Token("eve", nil, backendtest.Binding("other", approver))
	rule := approvalRule("people", &v1.ApprovalSelector{Pipelines: []string{"*"}})
	rule.Users, rule.Groups = []string{"alice", "alise", "dan", "eve"}, []string{"ops", "devs"}
	const have = "can approve in account default; approver tokens are"
	require.Equal(t, []string{
		`approval_rule.users[1]: rule people: no token of user "alise" ` + have + ` of users admin, alice; did you mean alice?`,
		`approval_rule.users[2]: rule people: no token of user "dan" ` + have + ` of users admin, alice`,
		`approval_rule.users[3]: rule people: no token of user "eve" ` + have + ` of users admin, alice`,
		`approval_rule.groups[1]: rule people: no token in group "devs" ` + have + ` in group ops`,
	}, said(createRule(t, c, rule, false).GetWarnings()))
	reader := b.Client(b.Token("vic", nil, backendtest.Binding("default", viewer)))
	got, err := reader.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: rule.GetName()})
	require.NoError(t, err)
	require.Len(t, got.GetApprovalRule().GetWarnings(), 4)
	require.NotContains(t, fmt.Sprint(said(got.GetApprovalRule().GetWarnings())), "those that do")
}

// A deployer is refused; an admin does it and is told.
func TestAnAdminIsWarnedOfWhatRulesNoLongerGuard(t *testing.T) {
	t.Parallel()
	_, adm, _ := guardedBackend(t)
	def := func(stageName string, actions ...*v1.Action) *v1.Pipeline {
		p := inline("default", "web")
		p.Definition.Stages = append(p.Definition.Stages, stage(stageName, append(actions, commands("Ship", "true"))...))
		return p
	}
	create(t, adm, def("Deploy", manual("Sign")))
	for _, dry := range []bool{true, false} {
		resp, err := adm.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: def("Live", manual("Sign")), ValidateOnly: dry})
		require.NoError(t, err)
		texts := said(resp.GetWarnings())
		require.Contains(t, texts, ": rule prod no longer guards stage Deploy of pipeline web; this change removes or renames it: if it was renamed, add the new name to the rule")
		require.Contains(t, texts, ": rule sign no longer guards action Sign of stage Deploy of pipeline web; this change removes or renames it: if it was renamed, add the new name to the rule")
		require.Contains(t, texts, `: rule prod: stage "Deploy" matches nothing; pipeline web has stages Source, Build, Live`)
		require.Contains(t, strings.Join(texts, "\n"), `stage "Live", action "Sign": action "Ship" starts without waiting for the approval`)
		require.Len(t, texts, 4)
		require.Equal(t, string(pipeline.ReasonGuardRemoved), resp.GetWarnings()[0].GetReason())
	}
	removed, err := adm.Pipelines.DeletePipeline(t.Context(), &v1.DeletePipelineRequest{Name: client.PipelineName("default", "web")})
	require.NoError(t, err)
	require.Equal(t, []string{": rule sign no longer guards action Sign of stage Live of pipeline web; this change removes or renames it: if it was renamed, add the new name to the rule"},
		said(removed.GetWarnings()))
}

func TestPartsWarnOfWhatRulesNoLongerGuard(t *testing.T) {
	t.Parallel()
	_, adm, _ := guardedBackend(t)
	parent := client.PipelineName("default", "web")
	create(t, adm, composed("web", v1.PublishPolicy_PUBLISH_POLICY_AUTO))
	part := func(s *v1.Stage, order int, dry bool) {
		name := parent + "/stages/" + s.GetName()
		_, err := adm.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{Name: name, Order: int32(order)}, ValidateOnly: dry})
		require.NoError(t, err)
		for _, a := range s.GetActions() {
			if !dry {
				_, err := adm.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{Name: name + "/actions/" + a.GetName(), Action: a}})
				require.NoError(t, err)
			}
		}
	}
	for i, s := range []*v1.Stage{
		stage("Source", git("Fetch")), stage("Build", commands("Compile", "true")), stage("Deploy", manual("Sign"), commands("Ship", "true")),
	} {
		part(s, i+1, true)
		part(s, i+1, false)
	}
	sign := &v1.PipelineAction{Name: parent + "/stages/Deploy/actions/Sign", Action: commands("Sign", "true")}
	version := get(t, adm, "web").GetVersion()
	for _, dry := range []bool{true, false} {
		require.Equal(t, version, get(t, adm, "web").GetVersion())
		resp, err := adm.Pipelines.UpdateAction(t.Context(), &v1.UpdateActionRequest{Action: sign, ValidateOnly: dry})
		require.NoError(t, err)
		require.Len(t, resp.GetWarnings(), 1)
		require.Contains(t, resp.GetWarnings()[0].GetMessage(), "rule sign no longer guards action Sign of stage Deploy of pipeline web; this change removes or renames it")
	}
	require.Equal(t, version+1, get(t, adm, "web").GetVersion())
	for _, action := range []string{"Ship", "Sign"} {
		_, err := adm.Pipelines.DeleteAction(t.Context(), &v1.DeleteActionRequest{Name: parent + "/stages/Deploy/actions/" + action})
		require.NoError(t, err)
	}
	gone, err := adm.Pipelines.DeleteStage(t.Context(), &v1.DeleteStageRequest{Name: parent + "/stages/Deploy"})
	require.NoError(t, err)
	require.Len(t, gone.GetWarnings(), 1)
	require.Contains(t, gone.GetWarnings()[0].GetMessage(), "rule prod no longer guards stage Deploy of pipeline web")
}

func TestPublishingWarns(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	createRule(t, c, approvalRule("network-apply", &v1.ApprovalSelector{Pipelines: []string{"network"}, Stages: []string{"Aply"}}), false)
	create(t, c, composed("network", v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT))
	parent := client.PipelineName("default", "network")
	for i, s := range network().GetDefinition().GetStages() {
		name := parent + "/stages/" + s.GetName()
		created, err := c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{Name: name, Order: int32(i + 1)}})
		require.NoError(t, err)
		require.Empty(t, created.GetWarnings(), "a stage may follow that the rule is for")
		for _, a := range s.GetActions() {
			_, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{Name: name + "/actions/" + a.GetName(), Action: a}})
			require.NoError(t, err)
		}
	}
	published, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: parent})
	require.NoError(t, err)
	require.Equal(t, []string{": " + typo}, said(published.GetWarnings()))
}

// A page of rules is as fast in an account of a thousand pipelines; how fast is logged.
func TestListOfRulesInALargeAccount(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	for i := range 1000 {
		p := network()
		p.Name = client.PipelineName("default", fmt.Sprintf("network-%04d", i))
		create(t, c, p)
	}
	for i := range 100 {
		rule := approvalRule(fmt.Sprintf("r%03d", i), &v1.ApprovalSelector{
			Pipelines: []string{fmt.Sprintf("network-%02d*", i), fmt.Sprintf("network-%04d", i)}, Stages: []string{"Apply"}, Actions: []string{"Approve"},
		})
		if i%10 == 0 {
			rule.Selector = &v1.ApprovalSelector{Pipelines: []string{"*"}, Stages: []string{"Apply"}}
		}
		createRule(t, c, rule, false)
	}
	var fastest time.Duration
	for i := range 20 {
		begun := time.Now()
		resp, err := c.ApprovalRules.ListApprovalRules(t.Context(), &v1.ListApprovalRulesRequest{Parent: "accounts/default"})
		took := time.Since(begun)
		require.NoError(t, err)
		require.Len(t, resp.GetApprovalRules(), 100)
		require.EqualValues(t, 1000, resp.GetApprovalRules()[0].GetGuardCount())
		if i == 0 || took < fastest {
			fastest = took
		}
	}
	t.Logf("a page of 100 rules takes %s", fastest)
	listOfLargeRules(t, c)
}

// listOfLargeRules lists many rules of a hundred patterns. Five take too long to match, and
// take nothing from the others.
func listOfLargeRules(t *testing.T, c *client.Client) {
	t.Helper()
	want := 100
	for i := range 73 {
		selector := &v1.ApprovalSelector{Pipelines: []string{"network-*"}}
		for j := range 100 {
			slow := fmt.Sprintf("{%s}%d", strings.TrimSuffix(strings.Repeat("*e*w*o*k*,", 22), ","), j)
			if i < 5 {
				selector.Pipelines = append(selector.Pipelines[:j], slow)
			}
			selector.Stages = append(selector.Stages, slow)
			selector.Actions = append(selector.Actions, fmt.Sprintf("*team-%d-*%s", j, strings.Repeat("x", 200)))
		}
		createRule(t, c, approvalRule(fmt.Sprintf("large%02d", i), selector), false)
		want++
	}
	pages, listed, incomplete := 0, 0, 0
	for token := ""; pages == 0 || token != ""; pages++ {
		resp, err := c.ApprovalRules.ListApprovalRules(t.Context(), &v1.ListApprovalRulesRequest{
			Parent: "accounts/default", PageSize: 1000, PageToken: token,
		})
		require.NoError(t, err)
		for _, rule := range resp.GetApprovalRules() {
			require.LessOrEqual(t, len(rule.GetWarnings()), 22)
			if last := len(rule.GetWarnings()) - 1; last >= 0 && rule.GetWarnings()[last].GetReason() == string(pipeline.ReasonReportIncomplete) {
				incomplete++
			}
		}
		listed += len(resp.GetApprovalRules())
		token = resp.GetNextPageToken()
	}
	require.Equal(t, want, listed)
	require.Equal(t, 5, incomplete)
}

// TestPublishWarnsOfAnApprovalBesideItsDeployment shows what no plan sees: the parts of a
// composed pipeline come together when they are published.
func TestPublishWarnsOfAnApprovalBesideItsDeployment(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	create(t, c, composed("web", v1.PublishPolicy_PUBLISH_POLICY_EXPLICIT))
	parent := client.PipelineName("default", "web")
	for i, s := range []*v1.Stage{stage("Source", git("Fetch")), stage("Deploy", manual("Sign"), commands("Ship", "true"))} {
		name := parent + "/stages/" + s.GetName()
		_, err := c.Pipelines.CreateStage(t.Context(), &v1.CreateStageRequest{Stage: &v1.PipelineStage{Name: name, Order: int32(i + 1)}})
		require.NoError(t, err)
		for _, a := range s.GetActions() {
			_, err := c.Pipelines.CreateAction(t.Context(), &v1.CreateActionRequest{Action: &v1.PipelineAction{Name: name + "/actions/" + a.GetName(), Action: a}})
			require.NoError(t, err)
		}
	}
	for range 2 {
		published, err := c.Pipelines.PublishPipelineVersion(t.Context(), &v1.PublishPipelineVersionRequest{Name: parent})
		require.NoError(t, err)
		require.Equal(t, []string{`stages[1].actions[1].run_order: stage "Deploy", action "Sign": action "Ship" starts without waiting for the approval, ` +
			`because both have run_order 1; to guard it, give it a higher run_order than the approval`}, said(published.GetWarnings()))
		require.Equal(t, string(pipeline.WarningApprovalBesideWork), published.GetWarnings()[0].GetReason())
	}
}

// A rule that requires more people than there are is told when it is written and read, and
// by the wait that it keeps open.
func TestARuleThatTooFewPeopleCanMeet(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	b.Token("alice", []string{"ops"}, backendtest.Binding("default", approver))
	b.Token("dan", []string{"ops"}, backendtest.Binding("default", deployer))
	vic := b.Client(b.Token("vic", nil, backendtest.Binding("default", viewer)))
	create(t, c, release(t, "cat greeting", "echo done"))
	many := approvalRule("many", &v1.ApprovalSelector{Pipelines: []string{"web"}})
	many.Groups, many.MinimumCount = []string{"ops"}, 2
	const want = "rule many: 2 must approve, but only alice can; no other token of group ops has the role approver or admin in account default"
	for _, dry := range []bool{true, false} {
		created := createRule(t, c, many, dry)
		require.Equal(t, []string{"approval_rule.minimum_count: " + want}, said(created.GetWarnings()))
		require.Equal(t, string(pipeline.ReasonTooFewApprovers), created.GetWarnings()[0].GetReason())
	}
	const hidden = "rule many: 2 must approve, but only 1 person can; no other token of group ops has the role approver or admin in account default"
	read, err := vic.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: many.GetName()})
	require.NoError(t, err)
	require.Equal(t, []string{"approval_rule.minimum_count: " + hidden}, said(read.GetApprovalRule().GetWarnings()))

	e := start(t, c, "web")
	watch(t, c, e.GetName(), begun("Sign"))
	notes := func(c *client.Client) []string {
		explained, err := c.Executions.ExplainExecution(t.Context(), &v1.ExplainExecutionRequest{Name: e.GetName()})
		require.NoError(t, err)
		return explained.GetNotes()
	}
	require.Contains(t, strings.Join(notes(c), "\n"), ", "+want)
	require.Contains(t, strings.Join(notes(vic), "\n"), ", "+hidden)
	b.Token("bob", []string{"ops"}, backendtest.Binding("default", approver))
	require.Empty(t, notes(c), "bob can")
	read, err = vic.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: many.GetName()})
	require.NoError(t, err)
	require.Empty(t, read.GetApprovalRule().GetWarnings())
}

// An account that requires rules warns of the manual actions without one: when that is set,
// when it is read, and when a pipeline is written.
func TestManualActionsThatLackARule(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	c := b.Admin()
	create(t, c, network())
	set := func(required bool) []*v1.Warning {
		resp, err := c.Accounts.UpdateAccount(t.Context(), &v1.UpdateAccountRequest{
			Account:    &v1.Account{Name: "accounts/default", Settings: &v1.AccountSettings{RequireApprovalRule: required}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"settings.require_approval_rule"}},
		})
		require.NoError(t, err)
		return resp.GetWarnings()
	}
	show := func(c *client.Client) []string {
		resp, err := c.Accounts.GetAccount(t.Context(), &v1.GetAccountRequest{Name: "accounts/default"})
		require.NoError(t, err)
		return said(resp.GetWarnings())
	}
	write := func(dry bool) []string {
		resp, err := c.Pipelines.UpdatePipeline(t.Context(), &v1.UpdatePipelineRequest{Pipeline: network(), ValidateOnly: dry})
		require.NoError(t, err)
		return said(resp.GetWarnings())
	}
	want := []string{": action Approve of stage Apply of pipeline network fails without an approval rule; " +
		"account default requires one, and none matches the action: create a rule"}
	require.Empty(t, write(true), "no rule is required")
	require.Empty(t, set(false))
	warnings := set(true)
	require.Equal(t, want, said(warnings))
	require.Equal(t, string(pipeline.ReasonApprovalRuleMissing), warnings[0].GetReason())
	require.Equal(t, want, show(c))
	require.Equal(t, want, write(true))
	require.Equal(t, want, write(false))
	require.Empty(t, show(b.Client(b.Token("machine", nil, backendtest.Binding("default", v1.Role_ROLE_RUNNER)))), "it may not read pipelines")
	entry := approvalRule("entry", &v1.ApprovalSelector{Pipelines: []string{"network"}, Stages: []string{"Apply"}})
	createRule(t, c, entry, false)
	require.Equal(t, want, show(c), "the rule guards the entry alone")
	createRule(t, c, approvalRule("manual", &v1.ApprovalSelector{Pipelines: []string{"network"}}), false)
	require.Empty(t, show(c))
	require.Empty(t, write(true))
}

// A rule over a stage whose automatic rollbacks skip it already says so to its author, and
// shows it to everyone.
func TestARuleThatRollbacksSkipAlready(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	web := inline("default", "web")
	deploy := stage("Deploy", commands("Ship", "true"))
	deploy.OnFailure = &v1.OnFailure{Result: "ROLLBACK"}
	deploy.OnRollback = &v1.OnRollback{SkipApprovals: true}
	web.Definition.Stages = append(web.Definition.Stages, deploy)
	create(t, c, web)
	rule := approvalRule("prod", &v1.ApprovalSelector{Pipelines: []string{"web"}, Stages: []string{"Build", "Deploy"}})
	want := []string{": rule prod: automatic rollbacks skip the approvals of stage Deploy of pipeline web; on_rollback.skip_approvals is set"}
	for _, dry := range []bool{true, false} {
		created := createRule(t, c, rule, dry)
		require.Equal(t, want, said(created.GetWarnings()))
		require.Equal(t, string(pipeline.ReasonGuardSkipped), created.GetWarnings()[0].GetReason())
	}
	updated, err := c.ApprovalRules.UpdateApprovalRule(t.Context(), &v1.UpdateApprovalRuleRequest{ApprovalRule: rule})
	require.NoError(t, err)
	require.Equal(t, want, said(updated.GetApprovalRule().GetWarnings()))
	got, err := c.ApprovalRules.GetApprovalRule(t.Context(), &v1.GetApprovalRuleRequest{Name: rule.GetName()})
	require.NoError(t, err)
	require.Empty(t, got.GetApprovalRule().GetWarnings(), "not whenever it is read")
	guards := got.GetApprovalRule().GetGuards()
	require.Len(t, guards, 2)
	require.False(t, guards[0].GetSkippedOnRollback())
	require.True(t, guards[1].GetSkippedOnRollback())
}
