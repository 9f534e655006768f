package fieldpath_test

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/stretchr/testify/require"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
)

func TestTranslate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		shape  fieldpath.Shape
		fields string
		want   string
	}{
		"attribute":         {fieldpath.Definition(), "execution_mode", "execution_mode"},
		"key of a map":      {fieldpath.Definition(), `stages[1].actions[0].configuration["RepositoryUrl"]`, `stage[1].action[0].configuration["RepositoryUrl"]`},
		"element of a list": {fieldpath.Definition(), "stages[1].actions[2].commands[3]", "stage[1].action[2].commands[3]"},
		"block as a whole":  {fieldpath.Definition(), "triggers[1]", "trigger[1].provider_type"},
		"single block":      {fieldpath.Definition(), "stages[1].before_entry", "stage[1].before_entry[0].condition"},
		"nested blocks":     {fieldpath.Definition(), "triggers[0].git_configuration.push[1].branches.includes[2]", "trigger[0].git_configuration[0].push[1].branches[0].includes[2]"},
		"condition":         {fieldpath.Definition(), "stages[1].before_entry.rules[0].provider", "stage[1].before_entry[0].condition[0].rule[0].rule_type_id[0].provider"},
		"environment of a rule": {
			fieldpath.Definition(), "stages[1].on_success.rules[0].environment_variables[2].value",
			"stage[1].on_success[0].condition[0].rule[0].environment_variable[2].value",
		},
		"failure condition":   {fieldpath.Definition(), "stages[1].on_failure.condition.result", "stage[1].on_failure[0].condition[0].result"},
		"retry mode":          {fieldpath.Definition(), "stages[1].on_failure.retry_mode", "stage[1].on_failure[0].retry_configuration[0].retry_mode"},
		"encryption key":      {fieldpath.Definition(), "artifact_stores[0].encryption_key_id", "artifact_store[0].encryption_key[0].id"},
		"name of an artifact": {fieldpath.Definition(), "stages[0].actions[0].output_artifacts[1].name", "stage[0].action[0].output_artifacts[1]"},
		"files of an artifact": {
			fieldpath.Definition(), "stages[0].actions[0].output_artifacts[1].files[2]", "stage[0].action[0].output_artifacts[1]",
		},
		"unknown field stops at its parent": {fieldpath.Definition(), "stages[1].moon", "stage[1]"},
		"object of the pipeline":            {fieldpath.Pipeline(), "definition.stages[0].name", "stage[0].name"},
		"provider of an action resource":    {fieldpath.ActionObject(), "action.provider", "provider_name"},
		"elements of sets have no index":    {fieldpath.ApprovalRule(), "selector.pipelines[3]", "pipelines"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fields, err := domain.ParsePath(test.fields)
			require.NoError(t, err)
			require.Equal(t, test.want, test.shape.Translate(path.Empty(), fields).String())
		})
	}
}
