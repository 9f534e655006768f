package typedocs_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
	"github.com/headrace/terraform-provider-headrace/internal/typedocs"
)

const root = "../.."

// TestPagesAreCurrent compares what is committed with what the declarations say now.
func TestPagesAreCurrent(t *testing.T) {
	t.Parallel()
	pages, err := typedocs.Render(catalog.Builtin(), filepath.Join(root, "examples", "types"))
	require.NoError(t, err)
	require.NotEmpty(t, pages)
	for name, want := range pages {
		have, err := os.ReadFile(filepath.Join(root, "docs", "guides", name))
		require.NoError(t, err, "run make generate")
		require.Equal(t, want, string(have), "%s: run make generate", name)
	}
}

// TestPageOfAnAddedType shows that a declaration and an example are all that a page needs.
func TestPageOfAnAddedType(t *testing.T) {
	t.Parallel()
	examples := t.TempDir()
	added := pipeline.NewCatalog(pipeline.Type{
		ID:      pipeline.TypeID{Category: pipeline.CategoryInvoke, Owner: "Acme", Provider: "Site-Check", Version: "2"},
		Summary: "Checks a site. It needs no runner.",
		Work:    pipeline.WorkTurn,
		Properties: []pipeline.Property{
			{Name: "Address", Required: true, Description: "Address of the site.", Example: "https://example.com"},
			{Name: "Depth", Type: pipeline.PropertyNumber, Default: "3", Description: "Number of links to follow."},
			{Name: "Mode", Allowed: []string{"fast", "full"}, Description: "How to check."},
		},
		Exclusive:      [][]string{{"Depth", "Mode"}},
		Variables:      []pipeline.OutputVariable{{Name: "Broken", Description: "Number of broken links."}},
		Overrides:      map[string]string{"URL": "Address"},
		Takes:          pipeline.TakesRegion,
		MaxInputs:      2,
		DefaultTimeout: 48 * time.Hour,
	})
	_, err := typedocs.Render(added, examples)
	require.ErrorContains(t, err, filepath.Join("action_acme_site_check_2", "main.tf"))

	require.NoError(t, os.MkdirAll(filepath.Join(examples, "action_acme_site_check_2"), 0o750))
	require.NoError(t, os.WriteFile(filepath.Join(examples, "action_acme_site_check_2", "main.tf"), []byte("# The example\n"), 0o600))
	pages, err := typedocs.Render(added, examples)
	require.NoError(t, err)
	want, err := os.ReadFile(filepath.Join("testdata", "action_acme_site_check_2.md"))
	require.NoError(t, err)
	require.Equal(t, string(want), pages["action_acme_site_check_2.md"])
}
