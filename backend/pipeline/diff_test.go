package pipeline_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// differing is a definition that has each kind of block.
func differing() *pipeline.Definition {
	return &pipeline.Definition{
		Variables: []pipeline.Variable{{Name: "TAG", DefaultValue: text("v1")}},
		Triggers: []pipeline.Trigger{{ProviderType: "Git", GitConfiguration: &pipeline.GitConfiguration{
			SourceActionName: "Fetch", Push: []pipeline.GitPushFilter{{Branches: &pipeline.GlobFilter{Includes: []string{"main"}}}},
		}}},
		Stages: []pipeline.Stage{
			{Name: "Source", Actions: []pipeline.Action{{
				Name: "Fetch", Category: pipeline.CategorySource, Owner: "Headrace", Provider: "Git", Version: "1",
				Configuration: map[string]string{"Branch": "main", "RepositoryUrl": "https://git.example.com/web"},
			}}},
			{Name: "Build", Actions: []pipeline.Action{
				{Name: "Compile", Category: pipeline.CategoryBuild, Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{"make", "make check"}},
				{Name: "Scan", Category: pipeline.CategoryTest, Owner: "Headrace", Provider: "Commands", Version: "1", Commands: []string{"scan"}},
			}},
			{
				Name: "Deploy", BeforeEntry: &pipeline.Condition{Result: pipeline.ResultFail, Rules: []pipeline.Rule{{Name: "Window", Provider: "DeploymentWindow"}}},
				Actions: []pipeline.Action{{
					Name: "Ship", Category: pipeline.CategoryDeploy, Owner: "Headrace", Provider: "Commands", Version: "1",
					EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "REGION", Value: "eu"}},
				}},
			},
		},
	}
}

func TestDiff(t *testing.T) {
	t.Parallel()
	const compile, ship = "action Compile of stage Build", "action Ship of stage Deploy"
	for name, test := range map[string]struct {
		change func(*pipeline.Definition)
		want   []pipeline.Change
	}{
		"nothing": {change: func(*pipeline.Definition) {}},
		"a default that is written out": {change: func(d *pipeline.Definition) {
			d.ExecutionMode, d.OnUpdate, d.PipelineType = pipeline.Superseded, pipeline.OnUpdateFinish, pipeline.PipelineTypeV2
			d.Stages[1].Actions[0].RunOrder = 1
			d.Stages[2].Actions[0].EnvironmentVariables[0].Type = pipeline.EnvironmentPlaintext
		}},
		"a field of the pipeline": {
			change: func(d *pipeline.Definition) { d.ExecutionMode = pipeline.Queued },
			want:   []pipeline.Change{{Kind: pipeline.Changed, Field: "execution_mode", Before: []string{"SUPERSEDED"}, After: []string{"QUEUED"}}},
		},
		"a variable": {
			change: func(d *pipeline.Definition) {
				d.Variables = []pipeline.Variable{{Name: "TAG"}, {Name: "ENVIRONMENT"}}
			},
			want: []pipeline.Change{
				{Kind: pipeline.Removed, Block: "variable TAG", Field: "default_value", Before: []string{"v1"}},
				{Kind: pipeline.Added, Block: "variable ENVIRONMENT"},
			},
		},
		"the filter of a trigger": {
			change: func(d *pipeline.Definition) {
				d.Triggers[0].GitConfiguration.Push[0].Branches.Includes = []string{"main", "release/*"}
			},
			want: []pipeline.Change{{
				Kind: pipeline.Changed, Block: "trigger of source action Fetch", Field: "git_configuration.push",
				Before: []string{"branches: includes: main"}, After: []string{"branches: includes: main, release/*"},
			}},
		},
		"commands": {
			change: func(d *pipeline.Definition) { d.Stages[1].Actions[0].Commands = []string{"make", "make test"} },
			want: []pipeline.Change{{
				Kind: pipeline.Changed, Block: compile, Stage: "Build", Action: "Compile", Field: "commands",
				Before: []string{"make", "make check"}, After: []string{"make", "make test"},
			}},
		},
		"keys of a configuration": {
			change: func(d *pipeline.Definition) {
				d.Stages[0].Actions[0].Configuration = map[string]string{"Branch": "release", "RepositoryUrl": "https://git.example.com/web", "Depth": "1"}
			},
			want: []pipeline.Change{
				{
					Kind: pipeline.Changed, Block: "action Fetch of stage Source", Stage: "Source", Action: "Fetch", Field: `configuration["Branch"]`,
					Before: []string{"main"}, After: []string{"release"},
				},
				{Kind: pipeline.Added, Block: "action Fetch of stage Source", Stage: "Source", Action: "Fetch", Field: `configuration["Depth"]`, After: []string{"1"}},
			},
		},
		"all of a configuration": {
			change: func(d *pipeline.Definition) { d.Stages[1].Actions[1].Configuration = map[string]string{"A": "1"} },
			want: []pipeline.Change{{
				Kind: pipeline.Added, Block: "action Scan of stage Build", Stage: "Build", Action: "Scan", Field: `configuration["A"]`, After: []string{"1"},
			}},
		},
		"environment variables": {
			change: func(d *pipeline.Definition) {
				d.Stages[2].Actions[0].EnvironmentVariables = []pipeline.EnvironmentVariable{
					{Name: "KEY", Value: "deploy-key", Type: pipeline.EnvironmentSecret}, {Name: "REGION", Value: "us"},
				}
			},
			want: []pipeline.Change{
				{
					Kind: pipeline.Added, Block: ship, Stage: "Deploy", Action: "Ship", Field: `environment_variables["KEY"]`,
					After: []string{"type: SECRET", "value: deploy-key"},
				},
				{
					Kind: pipeline.Changed, Block: ship, Stage: "Deploy", Action: "Ship", Field: `environment_variables["REGION"].value`,
					Before: []string{"eu"}, After: []string{"us"},
				},
			},
		},
		"the last environment variable": {
			change: func(d *pipeline.Definition) { d.Stages[2].Actions[0].EnvironmentVariables = nil },
			want: []pipeline.Change{{
				Kind: pipeline.Removed, Block: ship, Stage: "Deploy", Action: "Ship", Field: `environment_variables["REGION"]`,
				Before: []string{"type: PLAINTEXT", "value: eu"},
			}},
		},
		"a rule": {
			change: func(d *pipeline.Definition) {
				d.Stages[2].BeforeEntry.Rules = []pipeline.Rule{{Name: "Hours", Provider: "DeploymentWindow"}}
			},
			want: []pipeline.Change{
				{Kind: pipeline.Added, Block: "rule Hours of before_entry of stage Deploy", Stage: "Deploy", After: []string{"DeploymentWindow"}},
				{Kind: pipeline.Removed, Block: "rule Window of before_entry of stage Deploy", Stage: "Deploy", Before: []string{"DeploymentWindow"}},
			},
		},
		"conditions": {
			change: func(d *pipeline.Definition) {
				d.Stages[2].BeforeEntry = nil
				d.Stages[2].OnFailure = &pipeline.OnFailure{Result: pipeline.ResultRollback}
			},
			want: []pipeline.Change{
				{Kind: pipeline.Removed, Block: "before_entry of stage Deploy", Stage: "Deploy"},
				{Kind: pipeline.Added, Block: "on_failure of stage Deploy", Stage: "Deploy"},
				{Kind: pipeline.Added, Block: "on_failure of stage Deploy", Stage: "Deploy", Field: "result", After: []string{"ROLLBACK"}},
			},
		},
		"an action that moves and changes": {
			change: func(d *pipeline.Definition) {
				scan := d.Stages[1].Actions[1]
				scan.Commands = []string{"scan --all"}
				d.Stages[1].Actions = d.Stages[1].Actions[:1]
				d.Stages[2].Actions = append(d.Stages[2].Actions, scan)
			},
			want: []pipeline.Change{
				{
					Kind: pipeline.Moved, Block: "action Scan of stage Deploy", Stage: "Deploy", Action: "Scan",
					Before: []string{"stage Build"}, After: []string{"stage Deploy"},
				},
				{
					Kind: pipeline.Changed, Block: "action Scan of stage Deploy", Stage: "Deploy", Action: "Scan", Field: "commands",
					Before: []string{"scan"}, After: []string{"scan --all"},
				},
			},
		},
		"a stage with its action": {
			change: func(d *pipeline.Definition) {
				d.Stages[1].Name = "Compile"
				d.Stages[1].Actions[1].Name = "Check"
			},
			want: []pipeline.Change{
				{Kind: pipeline.Added, Block: "stage Compile", Stage: "Compile"},
				{
					Kind: pipeline.Moved, Block: "action Compile of stage Compile", Stage: "Compile", Action: "Compile",
					Before: []string{"stage Build"}, After: []string{"stage Compile"},
				},
				{
					Kind: pipeline.Added, Block: "action Check of stage Compile", Stage: "Compile", Action: "Check",
					After: []string{"Test/Headrace/Commands/1"},
				},
				{Kind: pipeline.Removed, Block: "stage Build", Stage: "Build"},
				{
					Kind: pipeline.Removed, Block: "action Scan of stage Build", Stage: "Build", Action: "Scan",
					Before: []string{"Test/Headrace/Commands/1"},
				},
			},
		},
		"the order of stages": {
			change: func(d *pipeline.Definition) { d.Stages[1], d.Stages[2] = d.Stages[2], d.Stages[1] },
			want: []pipeline.Change{{
				Kind: pipeline.Changed, Field: "order of stages",
				Before: []string{"Source", "Build", "Deploy"}, After: []string{"Source", "Deploy", "Build"},
			}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before, after := differing(), differing()
			test.change(after)
			kept, err := json.Marshal(after)
			require.NoError(t, err)
			require.Equal(t, test.want, pipeline.Diff(before, after))
			unchanged, err := json.Marshal(after)
			require.NoError(t, err)
			require.JSONEq(t, string(kept), string(unchanged), "Diff changes nothing")
		})
	}
}

func TestDiffShowsNoReferenceOfASecret(t *testing.T) {
	t.Parallel()
	before, after := differing(), differing()
	for value, d := range map[string]*pipeline.Definition{"one": before, "two": after} {
		sealed, err := pipeline.Sealed(value, []byte("0123456789abcdef"), []byte("cipher"))
		require.NoError(t, err)
		d.Stages[0].Actions[0].Configuration["OAuthToken"] = sealed
	}
	changes := pipeline.Diff(before, after)
	require.Len(t, changes, 1)
	require.Equal(t, `configuration["OAuthToken"]`, changes[0].Field)
	require.Equal(t, []string{"(secret value)"}, changes[0].Before)
	require.Equal(t, []string{"(secret value)"}, changes[0].After)
}

// Two definitions differ exactly when their digests do, and a stage or an action that was added
// in one direction was removed in the other.
func TestDiffIsSymmetric(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		before, after := differing(), differing()
		for _, d := range []*pipeline.Definition{before, after} {
			for range rapid.IntRange(0, 4).Draw(rt, "edits") {
				edit(rt, d)
			}
		}
		forth, back := pipeline.Diff(before, after), pipeline.Diff(after, before)
		require.Equal(rt, pipeline.Digest(before) != pipeline.Digest(after), len(forth) > 0, "%v", forth)
		require.ElementsMatch(rt, whole(forth, pipeline.Added), whole(back, pipeline.Removed))
		require.Len(rt, whole(back, pipeline.Moved), len(whole(forth, pipeline.Moved)))
	})
}

// whole returns the stages and actions of which all has changed in one way.
func whole(changes []pipeline.Change, kind pipeline.ChangeKind) (blocks []string) {
	for _, c := range changes {
		if c.Kind == kind && c.Field == "" && (c.Action != "" || c.Block == "stage "+c.Stage) {
			blocks = append(blocks, c.Block)
		}
	}
	return blocks
}

// edit changes something.
func edit(rt *rapid.T, d *pipeline.Definition) {
	stage := &d.Stages[rapid.IntRange(0, len(d.Stages)-1).Draw(rt, "stage")]
	word := rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "word")
	switch rapid.IntRange(0, 5).Draw(rt, "edit") {
	case 0:
		stage.Name += word
	case 1:
		stage.OnFailure = &pipeline.OnFailure{Result: pipeline.ResultFail}
	case 2:
		stage.BeforeEntry = &pipeline.Condition{Result: pipeline.ResultSkip, Rules: []pipeline.Rule{{Name: "R" + word, Provider: "Commands", Commands: []string{word}}}}
	case 3:
		if stage.Action("New"+word+stage.Name) != nil {
			return
		}
		stage.Actions = append(stage.Actions, pipeline.Action{Name: "New" + word + stage.Name, Category: pipeline.CategoryTest, Owner: "Headrace", Provider: "Commands", Version: "1"})
	case 4:
		stage.Actions[0].Commands = append(stage.Actions[0].Commands, word)
	case 5:
		d.Description += word
	}
}
