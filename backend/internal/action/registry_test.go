package action_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

type attempts struct{}

func (attempts) Execute(context.Context, action.Attempt, action.Workspace) action.Result {
	return action.Result{}
}

func TestMatch(t *testing.T) {
	t.Parallel()
	id := func(provider string) pipeline.TypeID {
		return pipeline.TypeID{Category: pipeline.CategoryRule, Owner: "Test", Provider: provider, Version: "1"}
	}
	kinds := pipeline.NewCatalog(
		pipeline.Type{ID: id("Runs"), Work: pipeline.WorkAttempt},
		pipeline.Type{ID: id("Asks"), Work: pipeline.WorkTurn},
		pipeline.Type{ID: id("Decides"), Work: pipeline.WorkImmediate},
	)
	for name, test := range map[string]struct {
		attempts, turns []string
		wants           string
	}{
		"each one":     {[]string{"Runs"}, []string{"Asks"}, ""},
		"none":         {nil, []string{"Asks"}, "type Rule/Test/Runs/1 needs an executor of attempts, and none of turns"},
		"the other":    {[]string{"Runs", "Asks"}, nil, "type Rule/Test/Asks/1 needs an executor of turns, and none of attempts"},
		"both":         {[]string{"Runs", "Asks"}, []string{"Asks"}, "type Rule/Test/Asks/1 needs an executor of turns, and none of attempts"},
		"one too many": {[]string{"Runs", "Decides"}, []string{"Asks"}, "type Rule/Test/Decides/1 needs no executor"},
		"twice":        {[]string{"Runs", "Runs"}, []string{"Asks"}, "type Rule/Test/Runs/1 has more than one executor"},
		"no type":      {[]string{"Runs", "Rusn"}, []string{"Asks"}, "the executor of Rule/Test/Rusn/1 has no type in the catalog"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			registry := action.NewRegistry()
			for _, provider := range test.attempts {
				registry.AddAttempt(id(provider), attempts{})
			}
			for _, provider := range test.turns {
				registry.AddTurn(id(provider), nil)
			}
			err := registry.Match(kinds)
			if test.wants == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.wants)
		})
	}
}
