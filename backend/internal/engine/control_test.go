package engine_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestRetry(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "failed actions: what succeeded is kept, what never ran runs after", pipeline: "A: a b; c | B: d",
			steps: []string{
				"start ann => ", "ok 1 a => ", "fail 1 b => 1 Failed A(a+ b!)!",
				"retry 1 => 1' InProgress A(a+ b!* b…)",
				"ok 1 b => 1' InProgress A(a+ b!* b+ c…)",
				"ok 1 c => 1' InProgress A(a+ b!* b+ c+)+ B(d…)",
				"ok 1 d => 1' Succeeded A(a+ b!* b+ c+)+ B(d+)+",
			},
		},
		{
			name: "all actions: the whole stage", pipeline: "A: a; b | B: d",
			steps: []string{
				"start ann => ", "ok 1 a => ", "fail 1 b => 1 Failed A(a+ b!)!",
				"retry 1 A all => 1' InProgress A(a+* b!* a…)",
				"ok 1 a => 1' InProgress A(a+* b!* a+ b…)",
				"ok 1 b#1 => 1' InProgress A(a+* b!* a+ b…)",
				"fail 1 b => 1' Failed A(a+* b!* a+ b!)!",
				"retry 1 => 1'' InProgress A(a+* b!* a+ b!* b…)",
				"ok 1 b => 1'' InProgress A(a+* b!* a+ b!* b+)+ B(d…)",
			},
		},
		{
			name: "while siblings run", pipeline: "A: a b ?c",
			steps: []string{
				"start ann => ", "retry 1 => refused: cannot be retried", "fail 1 a => 1 InProgress A(a! b… c…)",
				"retry 1 all => refused: cannot be retried",
				"retry 1 => 1 InProgress A(a!* b… c… a…)",
				"fail 1 a#1 => 1 InProgress A(a!* b… c… a…)",
				"retry 1 => refused: cannot be retried",
				"ok 1 a => ", "fail 1 b => ", "approve 1 bob => 1 Failed A(a!* b! c+ a+)!",
			},
		},
		{
			name: "of a stopped execution", pipeline: "A: a b; c",
			steps: []string{
				"start ann => ", "stop 1 ann => ", "retry 1 => refused: cannot be retried", "ok 1 a => ",
				"abandon 1 ann => 1 Stopped A(a+ b~)-",
				"retry 1 => 1' InProgress A(a+ b~* b…)", "ok 1 b#1 => 1' InProgress A(a+ b~* b…)",
				"stop 1 bob => 1' Stopping A(a+ b~* b…)/", "ok 1 b => 1' Stopped A(a+ b~* b+)-",
				"retry 1 => 1'' InProgress A(a+ b~* b+ c…)", "ok 1 c => 1'' Succeeded A(a+ b~* b+ c+)+",
			},
		},
		{
			name: "a rejected approval is asked anew", pipeline: "A: ?a; b",
			steps: []string{
				"start ann => ", "reject 1 bob => 1 Failed A(a!)!", "retry 1 => 1' InProgress A(a!* a…)",
				"approve 1 bob => 1' InProgress A(a!* a+ b…)",
			},
		},
		{
			name: "an entry that was rejected is asked anew, one that was met stays met", pipeline: "A: a",
			steps: []string{
				"guard A/ 1 => ", "start ann => 1 InProgress A&", "reject 1 bob => 1 Failed A!",
				"retry 1 => refused: cannot be retried", "retry 1 all => 1' InProgress A&",
				"approve 1 bob => 1' InProgress A(a…)", "fail 1 a => 1' Failed A(a!)!",
				"retry 1 => 1'' InProgress A(a!* a…)",
			},
		},
		{
			name: "not in front of a stage, not once it succeeded", pipeline: "A: a | B: b",
			steps: []string{
				"start ann => ", "start ann => ", "stop 2 bob => 1 InProgress A(a…) | 2 Stopped A-",
				"retry 2 => refused: cannot be retried", "ok 1 a => ", "retry 1 A => refused: cannot be retried",
				"retry 1 => refused: cannot be retried", "retry 1 X => refused: no such stage", "ok 1 b => ", "retry 1 => refused: cannot be retried",
			},
		},
		{
			name: "not once another execution has entered the stage", pipeline: "A: a | B: b",
			steps: []string{
				"start ann => ", "fail 1 a => 1 Failed A(a!)!", "start ann => 1 Failed A(a!)! | 2 InProgress A(a…)",
				"retry 1 => refused: later execution", "fail 2 a => ", "retry 1 => refused: later execution",
				"retry 2 => 1 Failed A(a!)! | 2' InProgress A(a!* a…)",
			},
		},
		{
			name: "not once the structure changed", pipeline: "A: a",
			steps: []string{"start ann => ", "fail 1 a => ", "publish A: a => ", "retry 1 => refused: cannot be retried"},
		},
		{
			name: "it does not go through the transition; who waits behind stays behind", pipeline: "A: a",
			steps: []string{
				"start ann => ", `disable A "stop => `, "start ann => 1 InProgress A(a…) | 2 InProgress A?|",
				"fail 1 a => 1 Failed A(a!)! | 2 InProgress A?|", "retry 1 => 1' InProgress A(a!* a…) | 2 InProgress A?|",
				"enable A => 1' InProgress A(a!* a…) | 2 InProgress A?", "ok 1 a => 1' Succeeded A(a!* a+)+ | 2 InProgress A(a…)",
			},
		},
		{
			name: "by itself, once", pipeline: "A (failure retry): a b; c",
			steps: []string{
				"start ann => ", "fail 1 a => 1 InProgress A(a! b…)", "ok 1 b => 1 InProgress A(a!* b+ a…)",
				"ok 1 a => 1 InProgress A(a!* b+ a+ c…)", "fail 1 c => 1 Failed A(a!* b+ a+ c!)!",
				"retry 1 => 1' InProgress A(a!* b+ a+ c!* c…)", "fail 1 c => 1' Failed A(a!* b+ a+ c!* c!)!",
			},
		},
		{
			name: "by itself with all actions, the lock is kept", pipeline: "A (failure retry all): a; b",
			steps: []string{
				"start ann => ", "start ann => ", "ok 1 a => ",
				"fail 1 b => 1 InProgress A(a+* b!* a…) | 2 InProgress A?",
			},
		},
		{
			name: "not by itself when people said no", pipeline: "A (failure retry): ?a b",
			steps: []string{"start ann => ", "fail 1 b => ", "reject 1 bob => 1 Failed A(a! b!)!"},
		},
		{
			name: "not by itself while it is stopped", pipeline: "A (failure retry): a",
			steps: []string{"start ann => ", "stop 1 ann => ", "fail 1 a => 1 Stopped A(a!)-"},
		},
		{
			name: "PARALLEL: another execution does not matter", mode: pipeline.Parallel, pipeline: "A: a",
			steps: []string{"start ann => ", "fail 1 a => ", "start ann => ", "retry 1 => 1' InProgress A(a!* a…) | 2 InProgress A(a…)"},
		},
	}))
}

func TestRollback(t *testing.T) {
	t.Parallel()
	succeeded := []string{"start ann => ", "ok 1 a => ", "ok 1 b => ", "ok 1 c => 1 Succeeded A(a+)+ B(b+)+ C(c+)+"}
	const was = "1 Succeeded A(a+)+ B(b+)+ C(c+)+"
	after := func(steps ...string) []string { return append(append([]string(nil), succeeded...), steps...) }
	run(t, twice([]script{
		{
			name: "it runs that stage with what the target had, and ends", pipeline: "A: a | B: b<a | C: c",
			steps: after("rollback B 1 => "+was+" | 2< InProgress B(b…)", "ok 2 b => "+was+" | 2< Succeeded B(b+)+"),
		},
		{
			name: "not of the first stage, of nothing, of one in use", pipeline: "A: a | B: b | C: c",
			steps: after("rollback A 1 => refused: cannot be rolled back", "rollback X 1 => refused: no such stage",
				"start ann => ", "ok 2 a => ", "rollback B 1 => refused: cannot be rolled back", "rollback C 2 => refused: cannot be rolled back to",
				"rollback C 1 => "+was+" | 2 InProgress A(a+)+ B(b…) | 3< InProgress C(c…)",
				"ok 2 b => "+was+" | 2 InProgress A(a+)+ B(b+)+ C? | 3< InProgress C(c…)",
				"ok 3 c => "+was+" | 2 InProgress A(a+)+ B(b+)+ C(c…) | 3< Succeeded C(c+)+"),
		},
		{
			name: "not to a rollback, not to one that failed there", pipeline: "A: a | B: b | C: c",
			steps: after("rollback B 1 => ", "ok 2 b => ", "rollback B 2 => refused: cannot be rolled back to",
				"start ann => ", "ok 3 a => ", "fail 3 b => ", "rollback B 3 => refused: cannot be rolled back to"),
		},
		{
			name: "not to one that skipped the stage", pipeline: "A: a | B (before v=x skip): b",
			steps: []string{
				"start ann v=y => ", "ok 1 a => 1 Succeeded A(a+)+ B^!>", "rollback B 1 => refused: cannot be rolled back to",
			},
		},
		{
			name: "to another version that has the stage as it is", pipeline: "A: a | B: b | C: c",
			steps: after("publish A: a | X: x | B: b => ", "rollback B 1 => "+was+" | 2< InProgress B(b…)", "ok 2 b => "+was+" | 2< Succeeded B(b+)+"),
		},
		{
			name: "not to a version in which the stage was another", pipeline: "A: a | B: b | C: c",
			steps: after("publish A: a | B: b* => ",
				"rollback B 1 => refused: the stage cannot be rolled back: stage B changed between version 1 and version 2: on_lost of action b"),
		},
		{
			name: "not to what another action has left", pipeline: "A: a | B: b | C: c<b",
			steps: after("publish A: a | D: b | B: x | C: c<b => ",
				"rollback C 1 => refused: artifact out-b, from action b of stage D (Build/Headrace/Commands/1) instead of from action b of stage B"),
		},
		{
			name: "not through the transition", pipeline: "A: a | B: b | C: c",
			steps: after(`disable B "no => `, "start ann => ", "ok 2 a => "+was+" | 2 InProgress A(a+)+ B?|",
				"rollback B 1 => "+was+" | 2 InProgress A(a+)+ B?| | 3< InProgress B(b…)"),
		},
		{
			name: "with approval and conditions as ever", pipeline: "A: a | B (before v=x skip, success v=y fail): b | C: c",
			steps: []string{
				"guard B/ 1 => ", "start ann v=x => ", "ok 1 a => ", "approve 1 bob => ",
				"ok 1 b => 1 Failed A(a+)+ B^+$!(b+)!",
				"override 1 B on-success \"fine => 1' InProgress A(a+)+ B^+$o(b+)+ C(c…)",
				"rollback B 1 => 1' InProgress A(a+)+ B^+$o(b+)+ C(c…) | 2< InProgress B&",
				"approve 2 bob => 1' InProgress A(a+)+ B^+$o(b+)+ C(c…) | 2< InProgress B^+(b…)",
			},
		},
		{
			name: "by itself, before anyone who waits", mode: pipeline.Queued, pipeline: "A: a | B (failure rollback): b | C: c",
			steps: after("start ann => ", "start ann => ", "ok 2 a => ", "ok 3 a => ",
				"fail 2 b => "+was+" | 2 Failed A(a+)+ B(b!)! | 3 InProgress A(a+)+ B? | 4< InProgress B(b…)",
				"ok 4 b => "+was+" | 2 Failed A(a+)+ B(b!)! | 3 InProgress A(a+)+ B(b…) | 4< Succeeded B(b+)+"),
		},
		{
			name: "it leads to no other, but is retried", pipeline: "A: a | B (failure rollback): b | C: c",
			steps: after("start ann => ", "ok 2 a => ", "fail 2 b => ",
				"fail 3 b => "+was+" | 2 Failed A(a+)+ B(b!)! | 3< Failed B(b!)!",
				"retry 2 => refused: later execution",
				"retry 3 => "+was+" | 2 Failed A(a+)+ B(b!)! | 3<' InProgress B(b!* b…)",
				"ok 3 b => "+was+" | 2 Failed A(a+)+ B(b!)! | 3<' Succeeded B(b!* b+)+"),
		},
		{
			name: "where nothing succeeded before, nothing", pipeline: "A: a | B (failure rollback): b",
			steps: []string{"start ann => ", "ok 1 a => ", "fail 1 b => 1 Failed A(a+)+ B(b!)!"},
		},
		{
			name: "to the last success of an earlier version that has the stage as it is", pipeline: "A: a | B (failure rollback): b",
			steps: []string{
				"start ann => ", "ok 1 a => ", "ok 1 b => ", "publish A: a | X: x | B (failure rollback): b => ",
				"start ann => ", "ok 2 a => ", "ok 2 x => ",
				"fail 2 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ X(x+)+ B(b!)! | 3< InProgress B(b…)",
				"fail 3 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ X(x+)+ B(b!)! | 3< Failed B(b!)!",
				// It runs the version of the execution that failed, so it can be retried.
				"retry 3 => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ X(x+)+ B(b!)! | 3<' InProgress B(b!* b…)",
			},
		},
		{
			name: "not to a success of a version in which the stage was another", pipeline: "A: a | B (failure rollback): b",
			steps: []string{
				"start ann => ", "ok 1 a => ", "ok 1 b => ", "publish A: a | B (failure rollback): b* => ",
				"start ann => ", "ok 2 a => ", "fail 2 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ B(b!)!",
			},
		},
		{
			name: "at once, where on_rollback skips conditions and approvals", pipeline: "A: a | B (before v=x fail, success v=y rollback, skip conditions approvals): ?ask; b",
			steps: []string{
				"guard B/ 2 => ", "start ann v=x => ", "ok 1 a => ", "approve 1 bob => ", "approve 1 cy => ", "approve 1 bob B ask => ",
				"ok 1 b => 1 Failed A(a+)+ B^+$!(ask+ b+)!", "override 1 B on-success \"fine => ",
				"start ann v=x => ", "ok 2 a => ", "approve 2 bob => ", "approve 2 cy => ", "approve 2 bob B ask => ",
				"ok 2 b => 1' Succeeded A(a+)+ B^+$o(ask+ b+)+ | 2 Failed A(a+)+ B^+$!(ask+ b+)! | 3< InProgress B^>(ask+ b…)",
				// What tells whether the rollback worked is checked.
				"ok 3 b => 1' Succeeded A(a+)+ B^+$o(ask+ b+)+ | 2 Failed A(a+)+ B^+$!(ask+ b+)! | 3< Failed B^>$!(ask+ b+)!",
				"retry 3 all => 1' Succeeded A(a+)+ B^+$o(ask+ b+)+ | 2 Failed A(a+)+ B^+$!(ask+ b+)! | 3<' InProgress B^>$!^>(ask+* b+* ask+ b…)",
			},
		},
		{
			name: "on_rollback is for automatic rollbacks only", pipeline: "A: a | B (before v=x fail, failure rollback, skip conditions approvals): ?ask; b",
			steps: []string{
				"guard B/ 1 => ", "start ann v=x => ", "ok 1 a => ", "approve 1 bob => ", "approve 1 bob => ", "ok 1 b => ",
				"rollback B 1 => 1 Succeeded A(a+)+ B^+(ask+ b+)+ | 2< InProgress B&",
				"approve 2 bob => 1 Succeeded A(a+)+ B^+(ask+ b+)+ | 2< InProgress B^+(ask…)",
			},
		},
		{
			name: "each of the two skips its own gates", pipeline: "A: a | B (before v=x fail, failure rollback, skip approvals): ?ask; b",
			steps: []string{
				"start ann v=x => ", "ok 1 a => ", "approve 1 bob => ", "ok 1 b => ", "start ann v=x => ", "ok 2 a => ", "approve 2 bob => ",
				"fail 2 b => 1 Succeeded A(a+)+ B^+(ask+ b+)+ | 2 Failed A(a+)+ B^+(ask+ b!)! | 3< InProgress B^+(ask+ b…)",
			},
		},
		{
			name: "an approval still waits where only conditions are skipped", pipeline: "A: a | B (before v=x fail, failure rollback, skip conditions): ?ask; b",
			steps: []string{
				"start ann v=x => ", "ok 1 a => ", "approve 1 bob => ", "ok 1 b => ", "start ann v=x => ", "ok 2 a => ", "approve 2 bob => ",
				"fail 2 b => 1 Succeeded A(a+)+ B^+(ask+ b+)+ | 2 Failed A(a+)+ B^+(ask+ b!)! | 3< InProgress B^>(ask…)",
			},
		},
		{
			name: "no window holds it back, before or after", pipeline: "A: a | B (before w9-17 fail, success w9-17 v=x rollback, skip conditions): b",
			steps: []string{
				// It is Sunday.
				"start ann v=x => ", "ok 1 a => ", `override 1 B before-entry "now => `, "ok 1 b => ", `override 1 B on-success "now => `,
				"start ann v=y => ", "ok 2 a => ", `override 2 B before-entry "now => `, "ok 2 b => ", "wait 26h => ",
				"recheck 2 => 1 Succeeded A(a+)+ B^o$o(b+)+ | 2 Failed A(a+)+ B^o$!(b+)! | 3< InProgress B^>(b…)", "wait 72h => ", "wait 72h => ",
				"ok 3 b => 1 Succeeded A(a+)+ B^o$o(b+)+ | 2 Failed A(a+)+ B^o$!(b+)! | 3< Succeeded B^>$+(b+)+",
			},
		},
		{
			name: "when the condition is met", pipeline: "A: a | B (failure v=x rollback): b",
			steps: []string{
				"start ann v=x => ", "ok 1 a => ", "ok 1 b => ", "start ann v=y => ", "ok 2 a => ",
				"fail 2 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ B%!(b!)!",
				"start ann v=x => ", "ok 3 a => ",
				"fail 3 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ B%!(b!)! | 3 Failed A(a+)+ B%+(b!)! | 4< InProgress B(b…)",
			},
		},
		{
			name: "a retry first, then the condition", pipeline: "A: a | B (failure retry v=x rollback): b",
			steps: []string{
				"start ann v=x => ", "ok 1 a => ", "ok 1 b => ", "start ann v=x => ", "ok 2 a => ",
				"fail 2 b => 1 Succeeded A(a+)+ B(b+)+ | 2 InProgress A(a+)+ B(b!* b…)",
				"fail 2 b => 1 Succeeded A(a+)+ B(b+)+ | 2 Failed A(a+)+ B%+(b!* b!)! | 3< InProgress B(b…)",
			},
		},
		{
			name: "when it did not succeed after all", pipeline: "A: a | B (success v=x rollback): b",
			steps: []string{
				"start ann v=x => ", "ok 1 a => ", "ok 1 b => ", "start ann v=y => ", "ok 2 a => ",
				"ok 2 b => 1 Succeeded A(a+)+ B$+(b+)+ | 2 Failed A(a+)+ B$!(b+)! | 3< InProgress B(b…)",
				`override 2 B on-success "no => refused: later execution`,
			},
		},
		{
			name: "a stage that failed without a failed action is not rolled back by on_failure", pipeline: "A: a | B (before v=x fail, success v=x fail, failure rollback): b",
			steps: []string{
				"start ann v=x => ", "ok 1 a => ", "ok 1 b => ", "start ann v=y => ",
				"ok 2 a => 1 Succeeded A(a+)+ B^+$+(b+)+ | 2 Failed A(a+)+ B^!!",
			},
		},
		{
			name: "PARALLEL", mode: pipeline.Parallel, pipeline: "A: a | B: b",
			steps: []string{"start ann => ", "ok 1 a => ", "ok 1 b => ", "rollback B 1 => refused: cannot be rolled back"},
		},
	}))
}

func TestTransitions(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "SUPERSEDED: who waits at the door gives way too", pipeline: "A: a | B: b",
			steps: []string{
				"start ann => ", `disable B "freeze => 1 InProgress A(a…)`, "ok 1 a => 1 InProgress A(a+)+ B?|",
				"start ann => ", "ok 2 a => 1 Superseded A(a+)+ Bx | 2 InProgress A(a+)+ B?|", `disable B "longer => `, "restart => ",
				"enable B => 1 Superseded A(a+)+ Bx | 2 InProgress A(a+)+ B(b…)", "enable B => ",
			},
		},
		{
			name: "QUEUED: in turn", mode: pipeline.Queued, pipeline: "A: a",
			steps: []string{
				`disable A "freeze => `, "start ann => 1 InProgress A?|", "start ann => ", "enable A => 1 InProgress A(a…) | 2 InProgress A?",
				`disable A "freeze => `, "ok 1 a => 1 Succeeded A(a+)+ | 2 InProgress A?|", "start ann => ",
				"stop 2 ann => 1 Succeeded A(a+)+ | 2 Stopped A- | 3 InProgress A?|", "enable A => 1 Succeeded A(a+)+ | 2 Stopped A- | 3 InProgress A(a…)",
			},
		},
		{
			name: "work inside goes on", pipeline: "A: a; b | B: c",
			steps: []string{"start ann => ", `disable A "freeze => `, "ok 1 a => ", "ok 1 b => 1 InProgress A(a+ b+)+ B(c…)"},
		},
	}))
}

func TestSupersedeAtApproval(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "the one that waits for approval alone gives way to a newer one", pipeline: "A: ?a",
			steps: []string{
				"guard A/a 1 supersede => ", "start ann => ", "start ann => 1 Superseded A(a~)x | 2 InProgress A(a…)",
				"approve 1 bob => refused: has ended", "expire 1 a => 1 Superseded A(a~)x | 2 InProgress A(a…)",
				"retry 1 => refused: cannot be retried",
			},
		},
		{
			name: "also at the entry", pipeline: "A: a",
			steps: []string{
				"guard A/ 1 supersede => ", "start ann => ", "start ann => 1 Superseded Ax | 2 InProgress A&", "approve 2 bob => ",
				"start ann => 1 Superseded Ax | 2 InProgress A(a…) | 3 InProgress A?",
			},
		},
		{
			name: "all rules must say so", pipeline: "A: ?a ?b",
			steps: []string{
				"guard A/a 1 supersede => ", "guard A/a 2 => ", "guard A/b 1 supersede => ", "start ann => ", "start ann => ",
				"approve 1 bob A a => ", "approve 1 cy A a => 1 Superseded A(a+ b~)x | 2 InProgress A(a… b…)",
			},
		},
		{
			name: "not while something else runs; then at once", pipeline: "A: ?a b",
			steps: []string{
				"guard A/a 1 supersede => ", "start ann => ", "start ann => 1 InProgress A(a… b…) | 2 InProgress A?",
				"ok 1 b => 1 Superseded A(a~ b+)x | 2 InProgress A(a… b…)",
			},
		},
		{
			name: "not through a closed door", pipeline: "A: ?a",
			steps: []string{
				"guard A/a 1 supersede => ", "start ann => ", `disable A "no => `, "start ann => 1 InProgress A(a…) | 2 InProgress A?|",
				"enable A => 1 Superseded A(a~)x | 2 InProgress A(a…)",
			},
		},
		{
			name: "the default approver never", pipeline: "A: ?a", steps: []string{"start ann => ", "start ann => 1 InProgress A(a…) | 2 InProgress A?"},
		},
		{
			name: "a rollback never, but it waits behind nobody", pipeline: "A: a | B: ?b",
			steps: []string{
				"guard B/b 1 supersede => ", "start ann => ", "ok 1 a => ", "approve 1 bob => ", "rollback B 1 => ", "start ann => ",
				"ok 3 a => 1 Succeeded A(a+)+ B(b+)+ | 2< InProgress B(b…) | 3 InProgress A(a+)+ B?",
				"approve 2 bob => 1 Succeeded A(a+)+ B(b+)+ | 2< Succeeded B(b+)+ | 3 InProgress A(a+)+ B(b…)",
			},
		},
		{
			name: "an older one does not take the place of a newer one", pipeline: "A: a | B: ?b",
			steps: []string{
				"guard B/b 1 supersede => ", "start ann => ", "publish B: ?b | A: a => ", "start ann => 1 InProgress A(a…) | 2 InProgress B(b…)",
				"ok 1 a => 1 InProgress A(a+)+ B? | 2 InProgress B(b…)", "approve 2 bob => 1 InProgress A(a+)+ B(b…) | 2 InProgress B(b+)+ A(a…)",
			},
		},
		{
			name: "not in QUEUED mode", mode: pipeline.Queued, pipeline: "A: ?a",
			steps: []string{"guard A/a 1 supersede => ", "start ann => ", "start ann => 1 InProgress A(a…) | 2 InProgress A?"},
		},
	}))
}

func TestCancelOnUpdate(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "running actions finish, who waits is cancelled at once", mode: pipeline.Queued, pipeline: "A: a ?s; b | B: c",
			steps: []string{
				"start ann => ", "start ann => ",
				"publish cancel A: a => 1 InProgress A(a… s~) | 2 Cancelled Ax", "start ann => 1 InProgress A(a… s~) | 2 Cancelled Ax | 3 InProgress A?",
				"ok 1 a => 1 Cancelled A(a+ s~)x | 2 Cancelled Ax | 3 InProgress A(a…)", "retry 1 => refused: cannot be retried",
			},
		},
		{
			name: "nothing is retried or rolled back", pipeline: "A: a | B (failure retry): c*",
			steps: []string{"start ann => ", "ok 1 a => ", "publish cancel A: a => 1 InProgress A(a+)+ B(c…)", "lost 1 c => 1 Cancelled A(a+)+ B(c!)x"},
		},
		{
			name: "a stop is a stop", pipeline: "A: a b",
			steps: []string{
				"start ann => ", "publish cancel A: a => 1 InProgress A(a… b…)", "stop 1 bob => 1 Stopping A(a… b…)/", "ok 1 a => ",
				"abandon 1 bob => 1 Stopped A(a+ b~)-",
			},
		},
		{
			name: "approvals and windows end at once; who waits does not enter meanwhile", mode: pipeline.Queued,
			pipeline: "A: ?a | B (before w9-17 fail): b",
			steps: []string{
				"start ann => ", "approve 1 bob => 1 InProgress A(a+)+ B^…", "start ann => ", "start ann => ",
				"publish cancel A: a => 1 Cancelled A(a+)+ B^xx | 2 Cancelled A(a~)x | 3 Cancelled Ax",
			},
		},
		{
			name: "finish is the default", pipeline: "A: a; b",
			steps: []string{"start ann => ", "publish A: c => ", "ok 1 a => 1 InProgress A(a+ b…)"},
		},
		{
			name: "PARALLEL executions finish", mode: pipeline.Parallel, pipeline: "A: a; b",
			steps: []string{"start ann => ", "publish cancel A: c => ", "ok 1 a => 1 InProgress A(a+ b…)"},
		},
	}))
}

func TestParallelBound(t *testing.T) {
	t.Parallel()
	run(t, twice([]script{
		{
			name: "five actions at once, people apart", mode: pipeline.Parallel, pipeline: "A: a b ?p c d e f ?q g; h",
			steps: []string{
				"start ann => 1 InProgress A(a… b… p… c… d… e… q…)", "approve 1 bob A p => 1 InProgress A(a… b… p+ c… d… e… q…)",
				"ok 1 c => 1 InProgress A(a… b… p+ c+ d… e… q… f…)", "start ann => ",
				"ok 1 a => 1 InProgress A(a+ b… p+ c+ d… e… q… f… g…) | 2 InProgress A(a… b… p… c… d… e… q…)",
			},
		},
		{
			name: "after a failure no further ones", mode: pipeline.Parallel, pipeline: "A: a b c d e f g",
			steps: []string{
				"start ann => ", "ok 1 a => 1 InProgress A(a+ b… c… d… e… f…)", "fail 1 b => 1 InProgress A(a+ b! c… d… e… f…)",
				"ok 1 c => 1 InProgress A(a+ b! c+ d… e… f…)", "ok 1 d => ", "ok 1 e => ", "ok 1 f => 1 Failed A(a+ b! c+ d+ e+ f+)!",
				"retry 1 => 1' InProgress A(a+ b!* c+ d+ e+ f+ b… g…)", "ok 1 g => ", "ok 1 b => 1' Succeeded A(a+ b!* c+ d+ e+ f+ b+ g+)+",
			},
		},
		{
			name: "other modes have no such bound", pipeline: "A: a b c d e f g", steps: []string{"start ann => 1 InProgress A(a… b… c… d… e… f… g…)"},
		},
	}))
}

// A stage that is rolled back gets what the target's stages before it had left, not
// what later executions left.
func TestRollbackTakesWhatTheTargetHad(t *testing.T) {
	t.Parallel()
	def := define("Source: fetch | Ship: put<fetch; tell<put | After: look")
	w := newWorld(t, def)
	through := func(e *execution.Execution, digest string) {
		w.must(e.Scope(), w.finish(e, "fetch", action.Result{
			Variables: map[string]string{"k": digest}, Artifacts: []action.Artifact{{Name: "out-fetch", Digest: digest}},
			Revision: &action.Revision{ID: "commit " + digest},
		}))
		require.NoError(t, w.step("ok "+e.ID[1:]+" put"))
		require.NoError(t, w.step("ok "+e.ID[1:]+" tell"))
	}
	through(w.start("ann", map[string]string{"v": "x"}), "d1")
	through(w.start("ann", map[string]string{"v": "y"}), "d2")
	require.NoError(t, w.step("rollback Ship 1"))
	e, target := w.execution(3), w.execution(1)
	require.Equal(t, pipeline.TypeRollback, e.Type)
	require.Equal(t, execution.Trigger{Type: execution.TriggerManualRollback, Detail: "e1", Principal: "ann"}, e.Trigger)
	require.Equal(t, map[string]string{"v": "x"}, e.Variables)
	require.Equal(t, target.Revisions, e.Revisions)
	require.NotEmpty(t, e.Revisions)
	require.Equal(t, &execution.Rollback{
		TargetID: "e1", TargetNumber: 1, TargetVersion: 1, Artifacts: []action.Artifact{{Name: "out-fetch", Digest: "d1"}},
		Variables: map[string]map[string]string{"n-fetch": {"k": "d1"}},
	}, e.Rollback, "nothing of the stage itself or behind it")
	attempt := w.model.leases[w.action(e, "put").ID].Attempt
	require.Equal(t, []action.Artifact{{Name: "out-fetch", Digest: "d1"}}, attempt.Inputs)
	require.Equal(t, map[string]string{"from": "d1"}, attempt.Action.Configuration)
	require.Equal(t, 1, e.Current().Position)
	require.NoError(t, w.step("ok 3 put"))
	require.NoError(t, w.step("ok 3 tell"))
	require.Equal(t, pipeline.Succeeded, w.execution(3).Status)
	require.Equal(t, &execution.Passage{ExecutionID: "e1", Number: 1, Version: 1}, w.model.state.Stage("Ship").Succeeded,
		"the stage has the release of the target")
	require.Equal(t, int64(3), w.model.state.Stage("Ship").Latest.Number)
}

func TestAutomaticRollbackSaysWhatHappens(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a | B (failure rollback): b | C: c"))
	for _, line := range []string{"start ann", "ok 1 a", "fail 1 b", "start ann", "ok 2 a", "ok 2 b", "start ann", "ok 3 a", "fail 3 b"} {
		require.NoError(t, w.step(line))
	}
	require.Contains(t, w.execution(1).Summary, "action b of stage B failed")
	require.Contains(t, w.execution(1).Summary, "to roll back to", "that there is nothing is said too")
	require.Contains(t, w.execution(3).Summary, "execution 4 rolls the stage back to execution 2")
	require.Equal(t, execution.Trigger{Type: execution.TriggerAutomatedRollback, Detail: "e2"}, w.execution(4).Trigger)
}

// What a retry replaced does not count any more.
func TestRetriedOutputsDoNotCount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("Build: make; check | Ship: put<make"))
	e := w.start("ann", nil)
	made := func(digest string) {
		w.must(e.Scope(), w.finish(e, "make", action.Result{
			Variables: map[string]string{"k": digest}, Artifacts: []action.Artifact{{Name: "out-make", Digest: digest}},
		}))
	}
	made("d1")
	require.NoError(t, w.step("fail 1 check"))
	require.NoError(t, w.step("retry 1 all"))
	made("d2")
	require.NoError(t, w.step("ok 1 check"))
	attempt := w.model.leases[w.action(e, "put").ID].Attempt
	require.Equal(t, []action.Artifact{{Name: "out-make", Digest: "d2"}}, attempt.Inputs)
	require.Equal(t, "d2", attempt.Action.Configuration["from"])

	w = newWorld(t, define("Build: make; put<make; check"))
	e = w.start("ann", nil)
	made("d1")
	require.NoError(t, w.step("fail 1 put"))
	require.NoError(t, w.step("retry 1 all"))
	require.Equal(t, "1' InProgress Build(make+* put!* make…)", w.state())
	w.must(e.Scope(), w.finish(e, "make", action.Result{}))
	require.Equal(t, "1' Failed Build(make+* put!* make+ put!)!", w.state(), "the artifact of the first time is gone")
}

func TestRetriedVariablesDoNotCount(t *testing.T) {
	t.Parallel()
	def := define("Build (failure v=x fail): make; check")
	def.Stages[0].OnFailure.Condition.Rules[0].Configuration["Variable"] = "#{n-make.k}"
	w := newWorld(t, def)
	for _, line := range []string{"start ann", "ok 1 make", "fail 1 check", "retry 1 all", "fail 1 make"} {
		require.NoError(t, w.step(line))
	}
	require.Equal(t, "1' Failed Build%!%E(make+* check!* make!)!", w.state(), "the variable of the first time is gone")
}

func TestRetryBringsBackAsIfItHadNotEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a | B: b"))
	w.start("ann", nil)
	require.NoError(t, w.step("abandon 1 bob"))
	require.NotNil(t, w.execution(1).Stop)
	w.now = w.now.Add(time.Hour)
	require.NoError(t, w.step("retry 1"))
	e := w.execution(1)
	require.Nil(t, e.Stop)
	require.Nil(t, e.Cancel)
	require.Zero(t, e.EndedAt)
	require.Empty(t, e.Summary)
	require.Zero(t, e.Current().EndedAt)
	require.Equal(t, 2, e.Attempt)
	require.Equal(t, &execution.Retries{Manual: 1, Last: execution.RetryManual, LastAt: w.now.UTC().Truncate(time.Microsecond)}, e.Current().Retries)
	first, second := w.action(e, "a#1"), w.action(e, "a#2")
	require.NotEqual(t, first.ID, second.ID)
	require.Equal(t, 1, second.Attempt)
	var told []string
	for _, ev := range w.model.events[len(w.model.events)-3:] {
		told = append(told, string(ev.Subject)+" "+string(ev.State)+" "+ev.Principal)
	}
	require.Equal(t, []string{"execution RESUMED ann", "stage RESUMED ann", "action STARTED "}, told)
}

// A version cancels what ran before it, not what runs under it.
func TestCancelSparesItsOwnVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a"))
	w.start("ann", nil)
	w.must(w.scope(), engine.Cancel{Version: 1, Principal: "ann"})
	require.Nil(t, w.execution(1).Cancel)
	require.Equal(t, pipeline.InProgress, w.execution(1).Status)
}

func TestCancelSaysWhoAndWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a"))
	w.start("ann", nil)
	require.NoError(t, w.step("publish cancel A: a"))
	require.Equal(t, &execution.Cancel{Principal: "ann", Version: 2, At: w.now.UTC().Truncate(time.Microsecond)}, w.execution(1).Cancel)
	require.NoError(t, w.step("ok 1 a"))
	require.Contains(t, w.execution(1).Summary, "version 2")
}

func TestTransitionIsRecorded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a | B: b"))
	require.NoError(t, w.step(`disable B "freeze`))
	require.NoError(t, w.step(`disable B "longer`))
	at := w.now.UTC().Truncate(time.Microsecond)
	require.Equal(t, &execution.Transition{Disabled: true, Reason: "longer", Principal: "ann", At: at}, w.model.state.Stage("B").Transition)
	require.NoError(t, w.step("enable B"))
	require.Equal(t, &execution.Transition{Principal: "ann", At: at}, w.model.state.Stage("B").Transition)
	require.ErrorIs(t, w.step(`disable X "freeze`), engine.ErrStageNotFound)
	require.NoError(t, w.step(`disable B "freeze`))
	require.NoError(t, w.step("publish parallel A: a"))
	require.ErrorIs(t, w.step(`disable A "freeze`), engine.ErrNoTransitions)
	require.ErrorIs(t, w.step("enable A"), engine.ErrNoTransitions)
	require.NoError(t, w.step("enable B"), "an execution of the version before may wait there")
}
