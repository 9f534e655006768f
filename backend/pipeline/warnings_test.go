package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestApprovalBesideWork warns of approvals that hold nothing back, and of no others.
func TestApprovalBesideWork(t *testing.T) {
	t.Parallel()
	type A = pipeline.Action
	const approval, deploy, build = pipeline.CategoryApproval, pipeline.CategoryDeploy, pipeline.CategoryBuild
	for name, test := range map[string]struct {
		actions []A
		want    []string
	}{
		"default run order": {
			[]A{{Name: "Approve", Category: approval}, {Name: "Ship", Category: deploy}},
			[]string{`stages[1].actions[0].run_order: stage "Production", action "Approve": action "Ship" starts without waiting for the approval, ` +
				`because both have run_order 1; to guard it, give it a higher run_order than the approval`},
		},
		"one of two": {
			[]A{{Name: "Ship", Category: deploy, RunOrder: 3}, {Name: "Approve", Category: approval, RunOrder: 3}, {Name: "Tell", Category: pipeline.CategoryInvoke, RunOrder: 4}},
			[]string{`stages[1].actions[1].run_order: stage "Production", action "Approve": action "Ship" starts without waiting for the approval, ` +
				`because both have run_order 3; to guard it, give it a higher run_order than the approval`},
		},
		"names not known": {
			[]A{{Name: pipeline.Unknown, Category: approval, Owner: "Headrace"}, {Name: pipeline.Unknown, Category: deploy, Owner: "Headrace"}},
			[]string{`stages[1].actions[0].run_order: stage "Production", action 1: action with a name not known yet starts without waiting for the approval, ` +
				`because both have run_order 1; to guard it, give it a higher run_order than the approval`},
		},
		"build alone": {
			[]A{{Name: "Approve", Category: approval}, {Name: "Make", Category: build}},
			[]string{`stages[1].actions[0].run_order: stage "Production", action "Approve": action "Make" starts without waiting for the approval, ` +
				`because both have run_order 1; to guard it, give it a higher run_order than the approval`},
		},
		"approval first":         {[]A{{Name: "Approve", Category: approval}, {Name: "Ship", Category: deploy, RunOrder: 2}}, nil},
		"approval afterwards":    {[]A{{Name: "Ship", Category: deploy}, {Name: "Approve", Category: approval, RunOrder: 2}}, nil},
		"two approvals":          {[]A{{Name: "Approve", Category: approval}, {Name: "Audit", Category: approval}, {Name: "Ship", Category: deploy, RunOrder: 2}}, nil},
		"build before the gate":  {[]A{{Name: "Approve", Category: approval}, {Name: "Make", Category: build}, {Name: "Ship", Category: deploy, RunOrder: 2}}, nil},
		"approval alone":         {[]A{{Name: "Approve", Category: approval}}, nil},
		"order not known":        {[]A{{Name: "Approve", Category: approval, RunOrder: pipeline.UnknownInt}, {Name: "Ship", Category: deploy}}, nil},
		"other order not known":  {[]A{{Name: "Approve", Category: approval}, {Name: "Ship", Category: deploy, RunOrder: pipeline.UnknownInt}}, nil},
		"actions not known":      {[]A{{Name: "Approve", Category: approval}, {Name: pipeline.Unknown}}, nil},
		"category not known yet": {[]A{{Name: "Approve", Category: approval}, {Name: "Ship", Category: pipeline.Unknown}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			def := &pipeline.Definition{Stages: []pipeline.Stage{{Name: "Source"}, {Name: "Production", Actions: test.actions}}}
			var got []string
			for _, w := range pipeline.Warnings(def, catalog.Builtin()) {
				require.Equal(t, pipeline.WarningApprovalBesideWork, w.Reason)
				got = append(got, w.Path.String()+": "+w.Message)
			}
			require.Equal(t, test.want, got)
		})
	}
}

// TestIncompleteCommand warns once of a compound command that is spread over several.
func TestIncompleteCommand(t *testing.T) {
	t.Parallel()
	spread := []string{"make", "if ! command -v tool; then", "  exit 1", "else", "fi", "echo 'open"}
	def := &pipeline.Definition{Stages: []pipeline.Stage{{
		Name:      "Build",
		Actions:   []pipeline.Action{{Name: "Lines", Commands: spread}, {Name: "Fine", Commands: []string{"if true; then make; fi", pipeline.Unknown}}},
		OnFailure: &pipeline.OnFailure{Condition: &pipeline.Condition{Rules: []pipeline.Rule{{Name: "smoke", Commands: []string{"cat <<EOF"}}}}},
	}}}
	warnings := pipeline.Warnings(def, catalog.Builtin())
	require.Len(t, warnings, 2)
	require.Equal(t, pipeline.Warning{
		Path:    pipeline.Path(nil).At("stages", 0).At("actions", 0).At("commands", 1),
		Reason:  pipeline.WarningIncompleteCommand,
		Summary: `Command of stage "Build", action "Lines" is not complete by itself`,
		Message: `stage "Build", action "Lines", command 2: "if ! command -v tool; then" is not complete by itself (` + "`then` must be followed by a statement list)" +
			`, and the shell reads each command on its own; write it on one line, for example if a; then b; fi, or in a script in the repository`,
	}, warnings[0])
	require.Equal(t, "stages[0].on_failure.condition.rules[0].commands[0]", warnings[1].Path.String())
}

// TestWarningsHaveTheirOwnSummaries holds that Terraform shows each of several.
func TestWarningsHaveTheirOwnSummaries(t *testing.T) {
	t.Parallel()
	actions := []pipeline.Action{{Name: "Approve", Category: pipeline.CategoryApproval}, {Name: "Ship", Category: pipeline.CategoryDeploy}}
	warnings := pipeline.Warnings(&pipeline.Definition{Stages: []pipeline.Stage{{Name: "Canary", Actions: actions}, {Name: "Fleet", Actions: actions}}}, catalog.Builtin())
	require.Len(t, warnings, 2)
	require.Equal(t, `Approval "Approve" of stage "Canary" does not hold back action "Ship"`, warnings[0].Summary)
	require.Equal(t, `Approval "Approve" of stage "Fleet" does not hold back action "Ship"`, warnings[1].Summary)
}

// TestRollbackWaits warns of stages whose automatic rollback waits, and of no others.
func TestRollbackWaits(t *testing.T) {
	t.Parallel()
	type S = pipeline.Stage
	window, check := condition("FAIL", "DeploymentWindow"), condition("FAIL", "VariableCheck")
	approval := []pipeline.Action{{Name: "Agree", Category: pipeline.CategoryApproval}, {Name: "Ship", Category: pipeline.CategoryDeploy, RunOrder: 2}}
	rollback := &pipeline.OnFailure{Result: "ROLLBACK"}
	for name, test := range map[string]struct {
		stage S
		path  string
		says  string
	}{
		"a window": {S{BeforeEntry: window, OnFailure: rollback}, "stages[0].on_failure.result", `waits for the deployment window "Check" of before_entry;`},
		"people":   {S{Actions: approval, OnSuccess: condition("ROLLBACK", "Commands")}, "stages[0].on_success.result", `waits for the approval "Agree";`},
		"both": {
			S{Actions: approval, BeforeEntry: window, OnFailure: &pipeline.OnFailure{Condition: condition("ROLLBACK", "Commands")}},
			"stages[0].on_failure.condition.result", `waits for the deployment window "Check" of before_entry, the approval "Agree";`,
		},
		"people still": {
			S{Actions: approval, BeforeEntry: window, OnFailure: rollback, OnRollback: pipeline.OnRollback{SkipConditions: true}},
			"stages[0].on_failure.result", `waits for the approval "Agree";`,
		},
		"both skipped": {stage: S{Actions: approval, BeforeEntry: window, OnFailure: rollback, OnRollback: pipeline.OnRollback{SkipConditions: true, SkipApprovals: true}}},
		"no rollback":  {stage: S{Actions: approval, BeforeEntry: window, OnFailure: &pipeline.OnFailure{Result: "RETRY"}}},
		"no gate":      {stage: S{BeforeEntry: check, OnFailure: rollback}},
		"not known":    {stage: S{BeforeEntry: window, OnFailure: &pipeline.OnFailure{Result: pipeline.Unknown}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test.stage.Name = "Production"
			warnings := pipeline.Warnings(&pipeline.Definition{Stages: []S{test.stage}}, catalog.Builtin())
			if test.path == "" {
				require.Empty(t, warnings)
				return
			}
			require.Len(t, warnings, 1)
			require.Equal(t, pipeline.WarningRollbackWaits, warnings[0].Reason)
			require.Equal(t, test.path, warnings[0].Path.String())
			require.Contains(t, warnings[0].Message, `stage "Production": an automatic rollback `+test.says)
		})
	}
}

// TestNothingToSkip warns of skip_conditions without any condition that holds a rollback
// back.
func TestNothingToSkip(t *testing.T) {
	t.Parallel()
	warn := func(s pipeline.Stage) []pipeline.Warning {
		s.Name, s.OnRollback.SkipConditions = "Production", true
		return pipeline.Warnings(&pipeline.Definition{Stages: []pipeline.Stage{s}}, catalog.Builtin())
	}
	warnings := warn(pipeline.Stage{OnSuccess: condition("ROLLBACK", "Commands")})
	require.Len(t, warnings, 1)
	require.Equal(t, pipeline.WarningNothingToSkip, warnings[0].Reason)
	require.Equal(t, "stages[0].on_rollback.skip_conditions", warnings[0].Path.String())
	require.Contains(t, warnings[0].Message, "neither a before_entry condition nor a deployment window")
	require.Empty(t, warn(pipeline.Stage{OnSuccess: condition("ROLLBACK", "DeploymentWindow")}))
	require.Empty(t, warn(pipeline.Stage{BeforeEntry: condition("FAIL", "Commands"), OnFailure: &pipeline.OnFailure{Result: "ROLLBACK"}}))
	require.Empty(t, warn(pipeline.Stage{OnSuccess: &pipeline.Condition{Result: pipeline.Unknown}}))
}
