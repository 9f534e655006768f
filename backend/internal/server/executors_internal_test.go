package server

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestPairing holds that each built-in type has the executor that its Work asks for.
func TestPairing(t *testing.T) {
	t.Parallel()
	types, registry, err := pairKinds("", nil)
	require.NoError(t, err)
	require.NotEmpty(t, types.Rules())

	// Attempts of Commands rules that an older server stored have the type of an action.
	_, runs := registry.Attempt(pipeline.TypeID{Category: pipeline.CategoryCompute, Owner: pipeline.Owner, Provider: "Commands", Version: "1"})
	require.True(t, runs)

	_, _, err = pairKinds("", []Kind{{Type: pipeline.Type{
		ID:   pipeline.TypeID{Category: pipeline.CategoryInvoke, Owner: "Test", Provider: "Lonely", Version: "1"},
		Work: pipeline.WorkTurn,
	}}})
	require.ErrorContains(t, err, "Invoke/Test/Lonely/1 needs an executor of turns")
}
