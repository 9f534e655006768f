package engine_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

func TestApproval(t *testing.T) {
	t.Parallel()
	sign := func(rules ...execution.Requirement) map[string][]execution.Requirement {
		return map[string][]execution.Requirement{"Release/sign": rules}
	}
	enter := func(rules ...execution.Requirement) map[string][]execution.Requirement {
		return map[string][]execution.Requirement{"Release/": rules}
	}
	const release = "Release: ?sign; put"
	const waits, approved = "1 InProgress Release(sign…)", "1 InProgress Release(sign+ put…)"
	run(t, []script{
		{
			name: "without a rule it takes one approver who did not start it", pipeline: release,
			steps: []string{
				"start ann => " + waits, "approve 1 ann => refused: somebody else has to approve it",
				"reject 1 ann => refused: somebody else has to approve it",
				"approve 1 bob => " + approved, "approve 1 cy => refused: is not waiting for an approval",
			},
		},
		{
			name: "a rule that allows the starter is enough for somebody who works alone", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 1, AllowStarter: true}),
			steps: []string{"start ann => " + waits, "approve 1 ann => " + approved},
		},
		{
			name: "where the account requires a rule, an action without one fails", pipeline: "Release: ?sign put",
			steps: []string{
				"require-rules on => ", "start ann => 1 InProgress Release(sign! put…)", "ok 1 put => 1 Failed Release(sign! put+)!",
				"guard Release/sign 1 => ", "retry 1 => 1' InProgress Release(sign!* put+ sign…)",
			},
		},
		{
			name: "a missing rule is not retried by itself", pipeline: "Release(failure retry): ?sign", both: true,
			steps: []string{"require-rules on => ", "start ann => 1 Failed Release(sign!)!"},
		},
		{
			name: "a wait that is open when the account begins to require rules keeps what it asked for", pipeline: release, both: true,
			steps: []string{"start ann => " + waits, "require-rules on => " + waits, "approve 1 bob => " + approved},
		},
		{
			name: "a rejection fails the stage", pipeline: release,
			steps: []string{"start ann => " + waits, `reject 1 bob "broken => 1 Failed Release(sign!)!`, "approve 1 cy => refused: has ended"},
		},
		{
			name: "siblings of a rejected approval run to their end", pipeline: "Release: ?sign put; more",
			steps: []string{"start ann => ", "reject 1 bob => 1 InProgress Release(sign! put…)", "ok 1 put => 1 Failed Release(sign! put+)!"},
		},
		{
			name: "two people, not one twice", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 2, AllowStarter: true}),
			steps: []string{
				"start ann => " + waits, "approve 1 bob => " + waits, "approve 1 bob => refused: already decided",
				"reject 1 bob => refused: already decided", "approve 1 cy => " + approved,
			},
		},
		{
			name: "one rejection is enough", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 3, AllowStarter: true}),
			steps: []string{"start ann => ", "approve 1 bob => " + waits, "reject 1 cy => 1 Failed Release(sign!)!"},
		},
		{
			name: "who started does not count unless allowed", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 1}),
			steps: []string{
				"start ann => ", "approve 1 ann => refused: rule r does not let the starter", "reject 1 ann => refused: rule r does not let the starter",
				"approve 1 bob => " + approved,
			},
		},
		{
			name: "of several rules the strictest decides about who started", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 1, AllowStarter: true}, execution.Requirement{MinimumCount: 1}),
			steps: []string{"start ann => ", "approve 1 ann => refused: does not let the starter", "approve 1 bob => " + approved},
		},
		{
			name: "all rules must be met; one person may count for several", pipeline: release,
			rules: sign(
				execution.Requirement{MinimumCount: 1, AllowStarter: true, Users: []string{"bob", "cy"}},
				execution.Requirement{MinimumCount: 2, AllowStarter: true, Groups: []string{"ops"}},
			),
			steps: []string{
				"start ann => ", "approve 1 dora => refused: may not decide", "approve 1 dora,dev => refused: may not decide",
				"approve 1 bob,ops => " + waits, "approve 1 cy => " + waits, "approve 1 dora,dev,ops => " + approved,
			},
		},
		{
			name: "names are no groups and groups no names", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 1, AllowStarter: true, Users: []string{"bob"}, Groups: []string{"ops"}}),
			steps: []string{"start ann => ", "approve 1 ops => refused: may not decide", "approve 1 eve,bob => refused: may not decide", "approve 1 bob => " + approved},
		},
		{
			name: "a comment where one is required", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 1, AllowStarter: true, RequireComment: true}),
			steps: []string{
				"start ann => ", "approve 1 bob => refused: comment is required", `approve 1 bob "   => refused: comment is required`,
				`approve 1 bob "tested => ` + approved,
			},
		},
		{
			name: "time over fails closed", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 2, AllowStarter: true, ExpireAfter: time.Hour}, execution.Requirement{MinimumCount: 1, AllowStarter: true, ExpireAfter: 2 * time.Hour}),
			steps: []string{
				"start ann => ", "approve 1 bob => " + waits, "wait 59m59s => ", "expire 1 sign => " + waits,
				"wait 1s => ", "expire 1 sign => 1 Failed Release(sign!)!", "expire 1 sign => 1 Failed Release(sign!)!",
			},
		},
		{
			name: "nobody decides after the time, also before the expiry was looked at", pipeline: release,
			rules: sign(execution.Requirement{MinimumCount: 1, AllowStarter: true, ExpireAfter: time.Hour}),
			steps: []string{"start ann => ", "wait 1h => ", "approve 1 bob => refused: no such approval is open", "reject 1 bob => refused: no such approval is open", "expire 1 sign => 1 Failed Release(sign!)!"},
		},
		{
			name: "an expiry after the decision has no effect", pipeline: release,
			steps: []string{"start ann => ", "approve 1 bob => ", "wait 1000h => ", "expire 1 sign => " + approved},
		},
		{
			name: "several are open: name one", pipeline: "Release: ?legal ?ops; put",
			steps: []string{
				"start ann => 1 InProgress Release(legal… ops…)", "approve 1 bob => refused: name one of",
				"approve 1 bob Release => refused: the entry of stage Release is not waiting", "approve 1 bob Elsewhere legal => refused: open: action legal",
				"approve 1 bob Release nothing => refused: open: action legal",
				"approve 1 bob Release ops => 1 InProgress Release(legal… ops+)", "approve 1 bob => 1 InProgress Release(legal+ ops+ put…)",
			},
		},
		{
			name: "the entry of a stage", pipeline: "Build: a | Release: put",
			rules: enter(execution.Requirement{MinimumCount: 2, AllowStarter: true}),
			steps: []string{
				"start ann => 1 InProgress Build(a…)", "approve 1 bob => refused: is not waiting for an approval",
				"ok 1 a => 1 InProgress Build(a+)+ Release&", "approve 1 bob Release put => refused: the entry of stage Release",
				"approve 1 bob Release => 1 InProgress Build(a+)+ Release&",
				"approve 1 cy => 1 InProgress Build(a+)+ Release(put…)", "ok 1 put => 1 Succeeded Build(a+)+ Release(put+)+",
			},
		},
		{
			name: "an entry rejected", pipeline: "Build: a | Release: put",
			rules: enter(execution.Requirement{MinimumCount: 2, AllowStarter: true}),
			steps: []string{"start ann => ", "ok 1 a => ", "reject 1 bob => 1 Failed Build(a+)+ Release!"},
		},
		{
			name: "an entry expires after seven days where no rule says when; it holds the stage until then", pipeline: "Release: put",
			rules: enter(execution.Requirement{MinimumCount: 1, AllowStarter: true}),
			steps: []string{
				"start ann => ", "start ann => 1 InProgress Release& | 2 InProgress Release?", "wait 167h => ",
				"expire 1 => 1 InProgress Release& | 2 InProgress Release?",
				"wait 1h => ", "expire 1 => 1 Failed Release! | 2 InProgress Release&",
			},
		},
	})
}

// Rules are taken as they are when the wait begins.
func TestRulesOfAnOpenApprovalDoNotChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign")).guard("Release/sign", execution.Requirement{Rule: "two", MinimumCount: 2, AllowStarter: true})
	w.start("ann", nil)
	w.rules = nil
	require.NoError(t, w.step("approve 1 bob"))
	require.Equal(t, "1 InProgress Release(sign…)", w.state())
}

func TestDecisionIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Build: compile | Release: ?sign"))
	e := w.start("ann", nil)
	bin := action.Artifact{Name: "bin", Digest: "d"}
	w.must(e.Scope(), w.finish(e, "compile", action.Result{Artifacts: []action.Artifact{bin}}))
	w.must(e.Scope(), engine.Approve{ExecutionID: e.ID, Principal: "bob", Groups: []string{"ops"}, Approved: true, Comment: "fine"})
	a := w.action(e, "sign")
	require.Equal(t, []execution.ApprovalDecision{{
		Principal: "bob", Groups: []string{"ops"}, Approved: true, Comment: "fine",
		At: w.now.UTC().Truncate(time.Microsecond), Version: 1, Artifacts: []action.Artifact{bin},
	}}, a.Details.Approval.Decisions)
	require.Equal(t, "approved by bob", a.Details.Summary)
	i := len(w.model.events) - 4
	require.Equal(t, execution.EventApproved, w.model.events[i].State)
	require.Equal(t, "bob", w.model.events[i].Principal)
	require.Equal(t, "fine", w.model.events[i].Message)
}

// A timer that fires a little early must not be the last one.
func TestEarlyExpiryComesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign"))
	e := w.start("ann", nil)
	change := w.must(e.Scope(), engine.Expire{ExecutionID: e.ID, ID: w.action(e, "sign").ID})
	require.Len(t, change.Turns, 1)
	require.Equal(t, w.action(e, "sign").Details.Approval.ExpiresAt, change.Turns[0].DueAt)
	require.Equal(t, execution.TurnExpire, change.Turns[0].Kind)
}

func TestMissingSaysWhoIsNeeded(t *testing.T) {
	t.Parallel()
	approval := &execution.Approval{Requirements: []execution.Requirement{
		{Rule: "prod", MinimumCount: 2, Users: []string{"bob"}, Groups: []string{"ops"}},
		{Rule: "all", MinimumCount: 1, AllowStarter: true},
	}}
	require.Equal(t, "it needs rule prod: 2 more of bob or group ops, not the one who started it and rule all: 1 more of anyone with the approver role",
		engine.Missing(approval))
	approval.Decisions = []execution.ApprovalDecision{{Principal: "bob", Approved: true}}
	require.Equal(t, "it needs rule prod: 1 more of bob or group ops, not the one who started it", engine.Missing(approval))
	approval = &execution.Approval{Requirements: []execution.Requirement{{MinimumCount: 1}}}
	require.Equal(t, "no rule matches, so it needs one approver who did not start it", engine.Missing(approval))
}

// Until rules were asked for, the starter could approve where none matched. A wait that
// began then is read back from the store with that requirement.
func TestWaitOfAnOlderServerKeepsItsRequirement(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign"))
	e := w.start("ann", nil)
	w.model.executions[e.ID].Stages[0].Actions[0].Details.Approval.Requirements[0].AllowStarter = true
	require.NoError(t, w.step("restart"))
	w.ruleRequired = true
	require.NoError(t, w.step("approve 1 ann"))
	require.Equal(t, "1 Succeeded Release(sign+)+", w.state())
}

// The refusal is what somebody who works alone reads first.
func TestTheStarterIsToldTheWayOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign"))
	w.start("ann", nil)
	err := w.step("approve 1 ann")
	require.ErrorIs(t, err, engine.ErrNotEligible)
	require.ErrorContains(t, err, "ann started execution 1, and no approval rule matches action sign of stage Release")
	require.ErrorContains(t, err, `resource "headrace_approval_rule" "rule-web-Release-sign" {
  name          = "web-Release-sign"
  pipelines     = ["web"]
  stages        = ["Release"]
  actions       = ["sign"]
  allow_starter = true
}`)
}

func TestMissingRuleNamesTheSettingAndTheWayOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign"))
	w.ruleRequired = true
	e := w.start("ann", nil)
	require.Equal(t, &action.Failure{
		Code: action.ApprovalRuleMissing,
		Message: "no approval rule matches action sign of stage Release of pipeline web, and account default has require_approval_rule set; " +
			`create a rule with actions = ["sign"], then retry the stage`,
	}, w.action(e, "sign").Details.Failure)
	require.Empty(t, w.model.turns, "nothing is left to expire")
}

// TestStageAloneNamesItsEntry decides on the entry of a stage after it was met, when an
// action of the stage waits.
func TestStageAloneNamesItsEntry(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign; put")).guard("Release/", execution.Requirement{MinimumCount: 1})
	w.start("ann", nil)
	decide := func(in engine.Approve) error {
		in.ExecutionID, in.Approved = "e1", true
		_, err := w.decide(w.scope(), in)
		return err
	}
	require.NoError(t, decide(engine.Approve{Stage: "Release", Principal: "bob"}))
	err := decide(engine.Approve{Stage: "Release", Principal: "cy"})
	require.ErrorIs(t, err, engine.ErrNoApproval)
	require.ErrorContains(t, err, "the entry of stage Release is not waiting for an approval; open: action sign of stage Release")
	require.NoError(t, decide(engine.Approve{Stage: "Release", Action: "sign", Principal: "cy"}))
}

// TestDecisionCountsForTheWaitThatWasShown decides on an approval that another one has
// replaced since somebody looked at it.
func TestDecisionCountsForTheWaitThatWasShown(t *testing.T) {
	t.Parallel()
	shown := func(w *world) string {
		reasons := engine.Explain(w.newScope(w.scope()), "e1", engine.Work{}, w.now)
		require.NotEmpty(t, reasons)
		require.NotNil(t, reasons[0].Wait)
		return reasons[0].Wait.ID()
	}
	decide := func(w *world, id string) error {
		_, err := w.decide(w.scope(), engine.Approve{ExecutionID: "e1", ApprovalID: id, Principal: "bob", Approved: true})
		return err
	}
	for name, test := range map[string]struct {
		guard, words string
		between      []string
	}{
		"an action that is asked again": {
			guard: "Release/sign", between: []string{"reject 1 cy", "retry 1"},
			words: "cy rejected action sign of stage Release, and execution 1 now waits for action sign of stage Release",
		},
		"an entry that is asked again": {
			guard: "Release/", between: []string{"reject 1 cy", "retry 1 all"},
			words: "execution 1 now waits for the entry of stage Release",
		},
		"one that another person approved": {
			guard: "Release/sign", between: []string{"approve 1 cy"},
			words: "cy approved action sign of stage Release, and execution 1 is not waiting for an approval now",
		},
		"one that ended with the execution": {
			guard: "Release/sign", between: []string{"reject 1 cy"}, words: "execution 1 has ended with status Failed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, define("Release: ?sign; put")).guard(test.guard, execution.Requirement{MinimumCount: 1, AllowStarter: true})
			w.start("ann", nil)
			id := shown(w)
			for _, step := range test.between {
				require.NoError(t, w.step(step))
			}
			err := decide(w, id)
			require.ErrorIs(t, err, engine.ErrStaleApproval)
			require.ErrorContains(t, err, "the approval you were shown is no longer open: "+test.words)
			if test.guard == "Release/" {
				earlier := w.execution(1).Current().EarlierEntries
				require.Len(t, earlier, 1, "who rejected it stays known")
				require.Equal(t, "cy", earlier[0].Decisions[0].Principal)
			}
			if strings.Contains(test.words, "now waits") {
				clear(w.memory)
				require.NotEqual(t, id, shown(w))
				require.NoError(t, decide(w, shown(w)), "the one that is open now, after a restart")
			}
		})
	}
}

// TestApproversAreAcceptedAndOthersRefused holds the list of those who may still approve
// against the decisions themselves.
func TestApproversAreAcceptedAndOthersRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Release: ?sign")).guard("Release/sign",
		execution.Requirement{Rule: "two", MinimumCount: 2, Users: []string{"ann", "bob", "cy"}},
		execution.Requirement{Rule: "ops", MinimumCount: 1, AllowStarter: true, Groups: []string{"ops"}},
		execution.Requirement{Rule: "qa", MinimumCount: 1, AllowStarter: true, Users: []string{"dora", "eve"}},
	)
	e := w.start("ann", nil)
	approvers := func() engine.Approvers {
		return engine.Wait{Execution: e, Stage: e.Current(), Action: e.Current().Actions[0]}.Approvers()
	}
	require.Equal(t, engine.Approvers{
		Users: []string{"bob", "cy", "dora", "eve"}, Groups: []string{"ops"}, Excluded: []string{"ann"},
	}, approvers(), "ann started it")
	require.Error(t, w.step("approve 1 ann,ops"))
	require.NoError(t, w.step("approve 1 dora"))
	require.NoError(t, w.step("approve 1 bob"))
	require.Equal(t, engine.Approvers{
		Users: []string{"cy"}, Groups: []string{"ops"}, Excluded: []string{"ann", "bob", "dora"},
	}, approvers(), "dora's rule is met, and nobody counts twice")
	require.NoError(t, w.step("approve 1 cy"))
	require.NoError(t, w.step("approve 1 frank,ops"))
	require.Equal(t, "1 Succeeded Release(sign+)+", w.state())
	require.Empty(t, approvers(), "nobody once it is decided")

	anyone := newWorld(t, define("Release: ?sign")).guard("Release/sign", execution.Requirement{MinimumCount: 1})
	e = anyone.start("ann", nil)
	require.Equal(t, engine.Approvers{Anyone: true, Excluded: []string{"ann"}}, approvers())
}
