package scenario_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// engines are the engines of the store that every scenario runs on. Each makes an
// empty store and returns how to open it, again after it was closed.
var engines = map[string]func(t *testing.T) func(t *testing.T) store.Store{
	"sqlite": func(t *testing.T) func(t *testing.T) store.Store {
		t.Helper()
		path := filepath.Join(t.TempDir(), "headrace.db")
		return func(t *testing.T) store.Store {
			t.Helper()
			s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path})
			require.NoError(t, err)
			return s
		}
	},
}

// paragraphs are those that apply: the sections on the semantics of execution, and
// that on events.
var paragraphs = []string{
	"3.1", "3.2", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15", "5",
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	for name, engine := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, s := range scenarios(t) {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					run(t, s, engine(t))
				})
			}
		})
	}
}

func TestEveryParagraphHasAScenario(t *testing.T) {
	t.Parallel()
	files := make(map[string][]string)
	for _, s := range scenarios(t) {
		require.Contains(t, paragraphs, s.paragraph, "%s: %q is not a paragraph that scenarios are about", s.name, s.paragraph)
		require.NotEmpty(t, s.why, "%s: say in a sentence or two why", s.name)
		files[s.paragraph] = append(files[s.paragraph], s.name)
	}
	for _, paragraph := range paragraphs {
		require.NotEmpty(t, files[paragraph], "no scenario is about paragraph %s", paragraph)
	}
}
