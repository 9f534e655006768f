package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

// TestLocate shows that the words for a place suffice where nobody sees the path.
func TestLocate(t *testing.T) {
	t.Parallel()
	def := &pipeline.Definition{
		Variables: []pipeline.Variable{{Name: "region"}},
		Triggers:  []pipeline.Trigger{{}},
		Stages: []pipeline.Stage{
			{Name: "Source", Actions: []pipeline.Action{{Name: "Fetch"}}},
			{
				Name: "Deploy_to_DEV",
				Actions: []pipeline.Action{
					{Name: "Deploy_Approval"},
					{Category: "Deploy", EnvironmentVariables: []pipeline.EnvironmentVariable{{Name: "TARGET"}, {}}},
					{Name: pipeline.Unknown},
					{Name: pipeline.Unknown, Category: "Deploy"},
					{Name: strings.Repeat("x", 300)},
				},
				BeforeEntry: &pipeline.Condition{Rules: []pipeline.Rule{{Name: "Hours"}}},
				OnFailure:   &pipeline.OnFailure{Condition: &pipeline.Condition{Rules: []pipeline.Rule{{}}}},
			},
			{Name: pipeline.Unknown, Actions: []pipeline.Action{{Name: "Ship"}}},
			{Name: pipeline.Unknown},
			{Name: pipeline.Unknown, Actions: []pipeline.Action{{Name: "Late"}}},
		},
	}
	for path, words := range map[string]string{
		`execution_mode`:             ``,
		`variables[0].default_value`: `variable "region"`,
		`variables["region"]`:        ``,
		`triggers[0]`:                `trigger 1`,
		`stages[1].actions`:          `stage "Deploy_to_DEV"`,
		// What is wrong with a name quotes it.
		`stages[1].name`:            ``,
		`stages[1].actions[0].name`: `stage "Deploy_to_DEV"`,
		`stages[7].name`:            ``,
		`stages[2].actions[0]`:      `stage 3, action "Ship"`,
		// Nobody knows how many stages come before.
		`stages[4].actions[0]`:                                  `action "Late"`,
		`stages[1].actions[0].configuration["ProjectName"]`:     `stage "Deploy_to_DEV", action "Deploy_Approval", configuration "ProjectName"`,
		`stages[1].actions[0].run_order`:                        `stage "Deploy_to_DEV", action "Deploy_Approval"`,
		`stages[1].actions[1].name`:                             `stage "Deploy_to_DEV", action 2`,
		`stages[1].actions[1].environment_variables[0].value`:   `stage "Deploy_to_DEV", action 2, environment variable "TARGET"`,
		`stages[1].actions[1].environment_variables[1].name`:    `stage "Deploy_to_DEV", action 2, environment variable 2`,
		`stages[1].actions[1].commands[2]`:                      `stage "Deploy_to_DEV", action 2, command 3`,
		`stages[1].actions[3].owner`:                            `stage "Deploy_to_DEV"`,
		`stages[1].actions[4].owner`:                            `stage "Deploy_to_DEV", action "` + strings.Repeat("x", 100) + `…"`,
		`stages[1].before_entry.rules[0].configuration["Cron"]`: `stage "Deploy_to_DEV", before_entry, rule "Hours", configuration "Cron"`,
		`stages[1].on_failure.condition.rules[0].provider`:      `stage "Deploy_to_DEV", on_failure, rule 1`,
		`stages[1].on_success.rules[0].provider`:                `stage "Deploy_to_DEV", on_success, rule 1`,
	} {
		parsed, err := pipeline.ParsePath(path)
		require.NoError(t, err)
		require.Equal(t, words, pipeline.Locate(def, parsed), path)
	}
	require.Empty(t, pipeline.Locate(nil, pipeline.Path(nil).At("stages", 0)))
}

// FuzzLocate shows that no path leads out of a definition.
func FuzzLocate(f *testing.F) {
	def := base()
	f.Add(`stages[1].actions[0].commands[3]`)
	f.Add(`stages[0].before_entry.rules[9].environment_variables[1]`)
	f.Fuzz(func(t *testing.T, text string) {
		path, err := pipeline.ParsePath(text)
		if err == nil {
			require.NotContains(t, pipeline.Locate(def, path), "\n")
		}
	})
}

// TestViolationsNameTheirPlace shows it of what Validate says.
func TestViolationsNameTheirPlace(t *testing.T) {
	t.Parallel()
	def := base()
	compile(def).EnvironmentVariables = []pipeline.EnvironmentVariable{{Name: "TARGET"}}
	require.Equal(t, `stage "Build", action "Compile", environment variable "TARGET": the value is empty; give it a value or remove its entry`,
		violations(t, pipeline.Validate(def, catalog.Builtin()))[0].Message)
}
