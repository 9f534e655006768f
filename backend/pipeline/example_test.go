package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestExampleOfAType(t *testing.T) {
	t.Parallel()
	action := pipeline.Type{
		ID: pipeline.TypeID{Category: pipeline.CategoryDeploy, Owner: "Acme", Provider: "Ship", Version: "2"},
		Properties: []pipeline.Property{
			{Name: "Target", Example: `${home} "prod"`}, {Name: "Silent"}, {Name: "Tag", Example: "v1"}, {Name: "Id", Example: "7"},
		},
		Exclusive: [][]string{{"Tag", "Id"}},
		MinInputs: 1, MaxInputs: 1,
	}
	require.Equal(t, `action {
  name            = "Ship"
  category        = "Deploy"
  owner           = "Acme"
  provider        = "Ship"
  version         = "2"
  input_artifacts = ["source"]

  configuration = {
    Target = "$${home} \"prod\""
    Tag    = "v1"
  }
}
`, action.Example())
	rule := pipeline.Type{ID: pipeline.TypeID{Category: pipeline.CategoryRule, Provider: "Run"}, Takes: pipeline.TakesCommands, MaxInputs: 10}
	require.Equal(t, `rule {
  name            = "Run"
  input_artifacts = ["source"]
  commands        = ["make test"]

  rule_type_id {
    provider = "Run"
  }
}
`, rule.Example())
}
