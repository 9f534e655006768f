package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestStageChanges names what ends the use of earlier successes of the stage Deploy, and
// what does not. Deploy uses the artifact Binary and the namespace Build of the action
// Compile, the revision of Checkout and the variables region and ticket.
func TestStageChanges(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	deploy := func(d *D) *pipeline.Stage { return d.Stage("Deploy") }
	withRevision := func() *D {
		d := base()
		deploy(d).BeforeEntry = condition("FAIL", "Expression")
		deploy(d).BeforeEntry.Rules[0].Configuration["Expression"] = `revisions["Checkout"].id != "" && variables.region != ""`
		return d
	}
	require.NoError(t, pipeline.Validate(withRevision(), catalog.Builtin()))
	for name, test := range map[string]struct {
		change func(d *D)
		want   []string
	}{
		// What stays usable.
		"nothing":                    {func(*D) {}, nil},
		"the description":            {func(d *D) { d.Description = "other" }, nil},
		"the mode":                   {func(d *D) { d.ExecutionMode = pipeline.Superseded }, nil},
		"another stage's commands":   {func(d *D) { compile(d).Commands = []string{"make"} }, nil},
		"another stage's timeout":    {func(d *D) { compile(d).TimeoutInMinutes = 9 }, nil},
		"another stage's conditions": {func(d *D) { d.Stages[1].OnFailure = &pipeline.OnFailure{Result: "RETRY"} }, nil},
		"the branch":                 {func(d *D) { source(d).Configuration["Branch"] = "next" }, nil},
		"another variable":           {func(d *D) { d.Variables = append(d.Variables, pipeline.Variable{Name: "new"}) }, nil},
		"a variable's description":   {func(d *D) { d.Variables[0].Description = "other" }, nil},
		"another stage before it": {func(d *D) {
			d.Stages = []pipeline.Stage{d.Stages[0], {Name: "Scan"}, d.Stages[1], d.Stages[2]}
		}, nil},
		"another output of the producer": {func(d *D) {
			compile(d).OutputArtifacts = append(compile(d).OutputArtifacts, pipeline.OutputArtifact{Name: "Docs"})
		}, nil},
		"an empty list": {func(d *D) { agree(d).Commands = []string{} }, nil},

		// What does not.
		"commands of an action":      {func(d *D) { install(d).Commands = []string{"rm"} }, []string{"commands of action Install"}},
		"several fields":             {func(d *D) { install(d).Commands, install(d).RunOrder = nil, 3 }, []string{"commands of action Install", "run_order of action Install"}},
		"a new action":               {func(d *D) { deploy(d).Actions = append(deploy(d).Actions, pipeline.Action{Name: "Tell"}) }, []string{"action Tell was added"}},
		"an action less":             {func(d *D) { deploy(d).Actions = deploy(d).Actions[1:] }, []string{"action Agree was removed"}},
		"the order of the actions":   {func(d *D) { a := deploy(d).Actions; a[0], a[1] = a[1], a[0] }, []string{"the order of its actions"}},
		"its conditions":             {func(d *D) { deploy(d).BeforeEntry.Result = "SKIP" }, []string{"before_entry"}},
		"its on_failure":             {func(d *D) { deploy(d).OnFailure = &pipeline.OnFailure{Result: "ROLLBACK"} }, []string{"on_failure"}},
		"its on_rollback":            {func(d *D) { deploy(d).OnRollback.SkipApprovals = true }, []string{"on_rollback"}},
		"the default of a variable":  {func(d *D) { d.Variables[0].DefaultValue = text("us") }, []string{"default of pipeline variable region"}},
		"a variable without default": {func(d *D) { d.Variables[0].DefaultValue = nil }, []string{"default of pipeline variable region"}},
		"the files of an artifact": {func(d *D) { compile(d).OutputArtifacts[0].Files = nil }, []string{
			"artifact Binary, from action Compile of stage Build (Build/Headrace/Commands/1) instead of " +
				"from action Compile of stage Build (Build/Headrace/Commands/1) with files dist/**, *.{txt,md}",
		}},
		"the type of a producer": {func(d *D) { compile(d).Category = pipeline.CategoryCompute }, []string{
			"artifact Binary, from action Compile of stage Build (Compute/Headrace/Commands/1) with files dist/**, *.{txt,md} instead of " +
				"from action Compile of stage Build (Build/Headrace/Commands/1) with files dist/**, *.{txt,md}",
			"namespace Build, from action Compile of stage Build (Compute/Headrace/Commands/1) instead of " +
				"from action Compile of stage Build (Build/Headrace/Commands/1)",
		}},
		"the stage of a producer": {func(d *D) {
			d.Stages[1].Name = "Make"
			compile(d).OutputArtifacts[0].Files = nil
			compile(d).Namespace = "Other"
		}, []string{
			"artifact Binary, from action Compile of stage Make (Build/Headrace/Commands/1) instead of " +
				"from action Compile of stage Build (Build/Headrace/Commands/1) with files dist/**, *.{txt,md}",
			"namespace Build, from nowhere instead of from action Compile of stage Build (Build/Headrace/Commands/1)",
		}},
		"the source of a revision": {func(d *D) { source(d).Name = "Fetch" }, []string{
			"source revision Checkout, from nowhere instead of from action Checkout of stage Source (Source/Headrace/Git/1)",
		}},
		"the stage itself": {func(d *D) { d.Stages = d.Stages[:2] }, []string{"one of them has no stage of that name"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after := withRevision()
			test.change(after)
			require.Equal(t, test.want, pipeline.StageChanges(catalog.Builtin(), withRevision(), after, "Deploy"))
			require.Equal(t, len(test.want) == 0, len(pipeline.StageChanges(catalog.Builtin(), after, withRevision(), "Deploy")) == 0, "the same in either direction")
		})
	}
}

// TestStageChangesInside holds that what a stage gets from itself is compared once, as
// part of its block.
func TestStageChangesInside(t *testing.T) {
	t.Parallel()
	after := base()
	compile(after).OutputArtifacts[0].Files = []string{"all"}
	require.Equal(t, []string{"output_artifacts of action Compile"}, pipeline.StageChanges(catalog.Builtin(), base(), after, "Build"))
}
