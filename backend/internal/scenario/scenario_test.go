package scenario_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// cluster is the PostgreSQL of the scenarios.
var cluster postgrestest.Cluster

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// opener opens the store of one scenario, again after it was closed.
type opener func(t *testing.T) store.Store

// engines are the engines of the store that every scenario runs on. Each returns what
// makes an empty store.
var engines = map[string]func(t *testing.T) (fresh func(t *testing.T) opener){
	"postgres": func(t *testing.T) func(t *testing.T) opener {
		t.Helper()
		migrated := cluster.Database(t)
		_, _, err := postgres.Migrate(t.Context(), postgres.Config{URL: migrated})
		require.NoError(t, err)
		return func(t *testing.T) opener {
			t.Helper()
			config := postgres.Config{URL: cluster.Copy(t, migrated), Readers: 1, Log: hclog.NewNullLogger()}
			return func(t *testing.T) store.Store {
				t.Helper()
				s, err := postgres.Open(context.Background(), config)
				require.NoError(t, err)
				return s
			}
		}
	},
	"sqlite": func(t *testing.T) func(t *testing.T) opener {
		t.Helper()
		open := func(t *testing.T, path string) store.Store {
			t.Helper()
			// A scenario does one thing at a time.
			s, err := sqlite.Open(context.Background(), sqlite.Config{Path: path, Readers: 1})
			require.NoError(t, err)
			return s
		}
		// The schema is made once: under the race detector that takes its time.
		path := filepath.Join(t.TempDir(), "empty.db")
		require.NoError(t, open(t, path).Close())
		empty, err := os.ReadFile(path)
		require.NoError(t, err)
		return func(t *testing.T) opener {
			t.Helper()
			path := filepath.Join(t.TempDir(), "headrace.db")
			require.NoError(t, os.WriteFile(path, empty, 0o600))
			return func(t *testing.T) store.Store {
				t.Helper()
				return open(t, path)
			}
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
			fresh := engine(t)
			for _, s := range scenarios(t) {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					run(t, s, fresh(t))
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
