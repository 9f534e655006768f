package pipeline_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// TestConnectionsAreFoundByTheDeclarationOfTypes holds that a type which names its connection by
// another property than those of today is looked at too.
func TestConnectionsAreFoundByTheDeclarationOfTypes(t *testing.T) {
	t.Parallel()
	source := pipeline.Action{
		Name: "Fetch", Category: pipeline.CategorySource, Owner: "Acme", Provider: "Mercurial", Version: "1",
		Configuration: map[string]string{"Forge": "accounts/other/connections/forge", "Note": "accounts/other/connections/forge"},
	}
	catalog := pipeline.NewCatalog(pipeline.Type{ID: source.TypeID(), Watch: &pipeline.Watch{Connection: "Forge"}})
	def := &pipeline.Definition{Stages: []pipeline.Stage{{Name: "Source", Actions: []pipeline.Action{source}}}}
	found := pipeline.ForeignConnections("default", def, catalog)
	require.Len(t, found, 1)
	require.Equal(t, `stages[0].actions[0].configuration["Forge"]`, found[0].Path.String())
	require.Empty(t, pipeline.ForeignConnections("other", def, catalog))
	require.Empty(t, catalog.ConnectionProperty(pipeline.TypeID{Category: pipeline.CategorySource, Owner: "Acme", Provider: "Unknown", Version: "1"}))
}
