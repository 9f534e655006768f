package approval_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// outline is network: Source (Fetch) | Plan (Show) | Apply (Run, and Approve by hand).
func outline(name string) approval.Outline {
	return approval.Outline{Pipeline: name, Stages: []approval.StageOutline{
		{Name: "Source", Other: []string{"Fetch"}},
		{Name: "Plan", Other: []string{"Show"}},
		{Name: "Apply", Manual: []string{"Approve"}, Other: []string{"Run"}},
	}}
}

// enough are the steps of a report that nobody waits for.
func enough() *approval.Steps {
	return approval.NewSteps(1_000_000, func() bool { return false })
}

func TestInspect(t *testing.T) {
	t.Parallel()
	of := func(texts ...string) []string { return texts }
	people := approval.People{Groups: map[string][]string{"alice": nil, "bob": {"ops"}, "cy": {"ops"}}}
	network := []approval.Outline{outline("network")}
	two := []approval.Outline{outline("network"), {Pipeline: "web", Stages: []approval.StageOutline{{Name: "Build", Other: []string{"Make"}}, {Name: "Prod", Manual: []string{"Sign"}}}}}
	for name, test := range map[string]struct {
		pipelines, stages, actions []string
		users, groups              []string
		count                      int
		all                        []approval.Outline
		guards                     []string
		warnings                   []string
	}{
		"a misspelt stage": {
			pipelines: of("network"), stages: of("Aply"), all: network,
			warnings: of(`selector.stages[0]: rule r: stage "Aply" matches nothing; pipeline network has stages Source, Plan, Apply; did you mean Apply?`),
		},
		"a stage in other letters": {
			pipelines: of("network"), stages: of("apply"), all: network,
			warnings: of(`selector.stages[0]: rule r: stage "apply" matches nothing; pipeline network has stages Source, Plan, Apply; did you mean Apply?`),
		},
		"one misspelt entry beside a good one": {
			pipelines: of("network"), stages: of("Apply", "Paln"), all: network, guards: of("network/Apply/"),
			warnings: of(`selector.stages[1]: rule r: stage "Paln" matches nothing; pipeline network has stages Source, Plan, Apply; did you mean Plan?`),
		},
		"a misspelt pipeline": {
			pipelines: of("ntwork"), stages: of("Apply"), all: two,
			warnings: of(`selector.pipelines[0]: rule r: pipeline "ntwork" matches nothing; account prod has pipelines network, web; did you mean network?`),
		},
		"a pattern that matches no pipeline": {
			pipelines: of("web", "api-*"), all: two, guards: of("web/Prod/Sign"),
			warnings: of(`selector.pipelines[1]: rule r: pipeline "api-*" matches nothing; account prod has pipelines network, web`),
		},
		"a pipeline to come in an empty account": {
			pipelines: of("network"), stages: of("Apply"),
			warnings: of(`selector.pipelines[0]: rule r: pipeline "network" matches nothing; account prod has no pipelines yet`),
		},
		"all pipelines of an empty account": {pipelines: of("*"), stages: of("Apply"), actions: of("Approve")},
		"a pipeline whose stages are to come": {
			pipelines: of("network"), stages: of("Apply"), actions: of("Approve"), all: []approval.Outline{{Pipeline: "network"}},
		},
		"all manual actions of a pipeline to come": {pipelines: of("network"), all: []approval.Outline{{Pipeline: "network"}}},
		"a stage in one of several pipelines": {
			pipelines: of("*"), stages: of("Prod", "Prd"), all: two, guards: of("web/Prod/"),
			warnings: of(`selector.stages[1]: rule r: stage "Prd" matches nothing; pipelines network, web have stages Source, Plan, Apply, Build, Prod; did you mean Prod?`),
		},
		"a stage of a pipeline that the rule does not match": {
			pipelines: of("web"), stages: of("Apply"), all: two,
			warnings: of(`selector.stages[0]: rule r: stage "Apply" matches nothing; pipeline web has stages Build, Prod`),
		},
		"a misspelt action": {
			pipelines: of("network"), stages: of("Apply"), actions: of("Aprove"), all: network,
			warnings: of(`selector.actions[0]: rule r: action "Aprove" matches nothing; stage Apply of pipeline network has manual approval action Approve; did you mean Approve?`),
		},
		"an action that is not a manual approval": {
			pipelines: of("network"), stages: of("Apply"), actions: of("Run"), all: network,
			warnings: of(`selector.actions[0]: rule r: action "Run" matches no manual approval action; Run is not a manual approval action, and rules guard only those`),
		},
		"a stage without a manual approval action": {
			pipelines: of("network"), stages: of("Plan"), actions: of("Approve"), all: network,
			warnings: of(
				`selector.stages[0]: rule r: stage "Plan" has no manual approval action, and a rule with actions guards only those`,
				`selector.actions[0]: rule r: action "Approve" matches nothing; stage Plan of pipeline network has no manual approval action`,
			),
		},
		"a pipeline without the stage beside one that has it": {
			pipelines: of("network", "web"), stages: of("Apply"), all: two, guards: of("network/Apply/"),
			warnings: of(`selector.pipelines[1]: rule r: "web" guards nothing, because the rule matches no stage; pipeline web has stages Build, Prod`),
		},
		"a pipeline without the action beside one that has it": {
			pipelines: of("network", "w*"), actions: of("Approve"), all: two, guards: of("network/Apply/Approve"),
			warnings: of(`selector.pipelines[1]: rule r: "w*" guards nothing, because the rule matches no action; pipeline web has manual approval action Sign`),
		},
		"a pattern that guards one of its pipelines": {pipelines: of("*"), stages: of("Apply"), all: two, guards: of("network/Apply/")},
		"a stage that none of the pipelines has": {
			pipelines: of("network", "web"), stages: of("Aply"), all: two,
			warnings: of(`selector.stages[0]: rule r: stage "Aply" matches nothing; pipelines network, web have stages Source, Plan, Apply, Build, Prod; did you mean Apply?`),
		},
		"an action anywhere": {pipelines: of("*"), actions: of("{Approve,Sign}"), all: two, guards: of("network/Apply/Approve", "web/Prod/Sign")},
		"manual actions of a pipeline that has none": {
			pipelines: of("net"), all: []approval.Outline{{Pipeline: "net", Stages: []approval.StageOutline{{Name: "Build", Other: of("Make")}}}},
			warnings: of(`selector.pipelines[0]: rule r: "net" guards nothing; pipeline net has no manual approval action`),
		},
		"a glob that is refused today guards everything": {pipelines: of("["), all: network, guards: of("network/Apply/Approve")},
		"people": {
			pipelines: of("network"), all: network, guards: of("network/Apply/Approve"), users: of("alice", "bobb"), groups: of("ops", "opps"),
			warnings: of(
				`users[1]: rule r: no token of user "bobb" can approve in account prod; approver tokens are of users alice, bob, cy; did you mean bob?`,
				`groups[1]: rule r: no token in group "opps" can approve in account prod; approver tokens are in group ops; did you mean ops?`,
			),
		},
		"as many as may approve": {pipelines: of("*"), all: network, guards: of("network/Apply/Approve"), count: 3},
		"more than may approve": {
			pipelines: of("*"), all: network, guards: of("network/Apply/Approve"), count: 4,
			warnings: of(`minimum_count: rule r: 4 must approve, but only alice, bob and cy can; no other token has the role approver or admin in account prod`),
		},
		"more than a group has": {
			pipelines: of("*"), all: network, guards: of("network/Apply/Approve"), groups: of("ops"), count: 3,
			warnings: of(`minimum_count: rule r: 3 must approve, but only bob and cy can; no other token of group ops has the role approver or admin in account prod`),
		},
		"a group and a user": {
			pipelines: of("*"), all: network, guards: of("network/Apply/Approve"), groups: of("ops"), users: of("alice", "bob"), count: 3,
		},
		"people of whom none may approve": {
			pipelines: of("*"), all: network, guards: of("network/Apply/Approve"), groups: of("devs"), count: 2,
			warnings: of(`groups[0]: rule r: no token in group "devs" can approve in account prod; approver tokens are in group ops`),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rule := approval.Rule{Account: "prod", Name: "r", Pipelines: test.pipelines, Stages: test.stages, Actions: test.actions}
			rule.Users, rule.Groups, rule.MinimumCount = test.users, test.groups, test.count
			report := approval.Inspect(&rule, test.all, people, enough())
			var guards, warnings []string
			for _, g := range report.Guards {
				guards = append(guards, g.Pipeline+"/"+g.Stage+"/"+g.Action)
				require.Len(t, approval.Requirements([]approval.Rule{rule}, g.Pipeline, g.Stage, g.Action), 1, "what it says it guards it does")
			}
			for _, w := range report.Warnings {
				warnings = append(warnings, w.Path.String()+": "+w.Message)
			}
			require.Equal(t, test.guards, guards)
			require.Len(t, guards, report.Count)
			require.Equal(t, test.warnings, warnings)
		})
	}
}

func TestInspectSaysThatTokensAreInNoGroup(t *testing.T) {
	t.Parallel()
	rule := approval.Rule{Account: "default", Name: "r", Pipelines: []string{"*"}}
	rule.Groups = []string{"release-managers"}
	report := approval.Inspect(&rule, nil, approval.People{Groups: map[string][]string{"admin": nil}}, enough())
	require.Equal(t, `rule r: no token in group "release-managers" can approve in account default; approver tokens are in no group`, report.Warnings[0].Message)
}

// Only admins learn which names have tokens. Others learn that a name has none.
func TestInspectHidesPeople(t *testing.T) {
	t.Parallel()
	rule := approval.Rule{Account: "prod", Name: "r", Pipelines: []string{"*"}}
	rule.Users = []string{"bobb"}
	report := approval.Inspect(&rule, nil, approval.People{Groups: map[string][]string{"bob": nil}, Hidden: true}, enough())
	require.Equal(t, `rule r: no token of user "bobb" can approve in account prod`, report.Warnings[0].Message)
	require.Equal(t, pipeline.ReasonApproverUnknown, report.Warnings[0].Reason)
}

func TestTooFew(t *testing.T) {
	t.Parallel()
	two := execution.Requirement{MinimumCount: 2, Users: []string{"alice"}, Groups: []string{"ops", "devs"}}
	people := approval.People{Groups: map[string][]string{"bob": {"ops"}, "eve": nil}, Hidden: true}
	require.Equal(t, "2 must approve, but only 1 person can; no other token of user alice or groups ops, devs has the role approver or admin in account prod",
		approval.TooFew(&two, "prod", people))
	require.Empty(t, approval.TooFew(&two, "prod", people.With([]execution.ApprovalDecision{{Principal: "dan", Groups: []string{"devs"}, Approved: true}})),
		"who approved before the token was revoked counts")
	require.Equal(t, "nobody can approve; no token of user alice or groups ops, devs has the role approver or admin in account prod",
		approval.TooFew(&two, "prod", approval.People{}))
	require.Equal(t, "nobody can approve; no token has the role approver or admin in account prod",
		approval.TooFew(&execution.Requirement{MinimumCount: 1}, "prod", approval.People{}))
}

func TestInspectTellsWhatRollbacksSkip(t *testing.T) {
	t.Parallel()
	web := outline("web")
	web.Stages[2].OnRollback = pipeline.OnRollback{SkipApprovals: true, SkipConditions: true}
	report := approval.Inspect(&approval.Rule{Name: "r", Pipelines: []string{"*"}, Stages: []string{"Plan", "Apply"}},
		[]approval.Outline{outline("network"), web}, approval.People{}, enough())
	var skipped []string
	for _, g := range report.Guards {
		if g.SkippedOnRollback {
			skipped = append(skipped, g.Pipeline+"/"+g.Stage)
		}
	}
	require.Equal(t, []string{"web/Apply"}, skipped)
	require.Equal(t, []approval.PipelineSkip{
		{Pipeline: "web", Skip: approval.Skip{Rule: "r", Stage: "Apply", Field: "skip_approvals"}},
		{Pipeline: "web", Skip: approval.Skip{Rule: "r", Stage: "Apply", Field: "skip_conditions"}},
	}, report.Skips)
}

// A rule for the entry of a stage is none for its manual actions.
func TestMissing(t *testing.T) {
	t.Parallel()
	all := []approval.Outline{outline("network"), outline("web")}
	rules := []approval.Rule{
		{Name: "entry", Pipelines: []string{"*"}, Stages: []string{"Apply"}}, {Name: "manual", Pipelines: []string{"web"}},
	}
	missing := func(rules []approval.Rule) []approval.Guard {
		parts, complete := approval.Missing(rules, all, enough())
		require.True(t, complete)
		return parts
	}
	require.Equal(t, []approval.Guard{{Pipeline: "network", Part: approval.Part{Stage: "Apply", Action: "Approve"}}}, missing(rules))
	require.Len(t, missing(nil), 2)
	_, complete := approval.Missing(rules, all, approval.NewSteps(10, func() bool { return false }))
	require.False(t, complete)
}

func TestInspectListsTheFirstHundred(t *testing.T) {
	t.Parallel()
	var all []approval.Outline
	for i := range 150 {
		all = append(all, outline(fmt.Sprintf("p%03d", i)))
	}
	report := approval.Inspect(&approval.Rule{Name: "r", Pipelines: []string{"p*"}}, all, approval.People{}, enough())
	require.Len(t, report.Guards, 100)
	require.Equal(t, 150, report.Count)
	require.Equal(t, "p099", report.Guards[99].Pipeline)
}
