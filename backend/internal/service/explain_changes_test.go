package service_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// mirrors answers as the mirrors of one repository, which have tests with real git.
type mirrors map[[3]string]mirror.History

// Since implements service.History.
func (m mirrors) Since(_ context.Context, repositoryID, released, head string) (mirror.History, error) {
	found, known := m[[3]string{repositoryID, released, head}]
	if !known {
		return mirror.History{}, trigger.ErrNoHistory
	}
	return found, nil
}

func TestWhatIsNewSinceTheLastRelease(t *testing.T) {
	t.Parallel()
	l := unbooted(t)
	three := mirror.History{Relation: mirror.Newer, Commits: 3, Authors: []string{"Ann", "Bob"}}
	l.history = mirrors{{"repo", "one", "two"}: three}
	l.boot()
	l.accounts()
	l.pipeline("web", stages(pipeline.Superseded, []string{"get"}, []string{"put"}))
	require.NoError(t, l.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateRepository(ctx, ledger.Repository{ID: "repo", Account: "default", Connection: "hub", Name: "acme/web"}); err != nil {
			return err
		}
		return tx.CreateTrigger(ctx, ledger.Trigger{
			ID: "t", Account: "default", Name: "web", Pipeline: "web", RepositoryID: "repo", Revision: 1,
			Declared: ledger.Declared{Git: &declared.Git{SourceAction: "get"}},
		})
	}))
	// fetch starts an execution and carries it into the second stage.
	fetch := func(commit string) (id string, end func()) {
		e := l.start("web")
		put := l.report("r1", l.acquire("r1"), action.Result{Revision: &action.Revision{ID: commit}})
		if put == nil {
			next := l.acquire("r1")
			put = &next
		}
		return e.ID, func() { l.report("r1", *put, action.Result{}) }
	}
	changes := func(id string) []service.SourceChange {
		found, err := l.Changes(t.Context(), admin, "default", id)
		require.NoError(t, err)
		return found
	}
	first, end := fetch("one")
	require.Empty(t, changes(first), "nothing was released before")
	end()
	second, end := fetch("two")
	require.Equal(t, []service.SourceChange{{Action: "get", Stage: "S1", Release: 1, Commit: "one", History: three}}, changes(second))
	end()
	third, end := fetch("three")
	require.Empty(t, changes(third), "no mirror has the commits")
	end()
	_, err := l.Changes(t.Context(), auth.Identity{Principal: "eve"}, "default", third)
	require.Error(t, err)
}
