package postgres_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// An update whose statements succeed and whose commit fails is not reported as committed, and
// leaves nothing behind, whether it was one message or several.
func TestCommitThatFailsIsAnError(t *testing.T) {
	t.Parallel()
	config := migrated(t)
	s := open(t, config)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	execute(t, config, `
		CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'refused at the commit'; END $$;
		CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON turns DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()`)
	for name, before := range map[string]func(context.Context, store.Tx) error{
		"one message": func(context.Context, store.Tx) error { return nil },
		"several messages": func(ctx context.Context, tx store.Tx) error {
			_, err := tx.Accounts(ctx, store.Page{})
			return err
		},
	} {
		for range 2 {
			err := s.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
				if err := before(ctx, tx); err != nil {
					return err
				}
				return tx.Apply(ctx, &execution.Change{Turns: []*execution.Turn{{ID: "t"}}})
			})
			require.ErrorContains(t, err, "refused at the commit", name)
			require.NotErrorIs(t, err, store.ErrUnavailable, name)
		}
		require.NoError(t, account(s, name), "the connection is usable afterwards")
	}
	require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
		turns, err := r.Turns(ctx)
		require.Empty(t, turns)
		return err
	}))
	require.ElementsMatch(t, []string{"one message", "several messages"}, accounts(t, s))
}
