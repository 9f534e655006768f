package storetest

import (
	"context"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

func testWebhooks(s *suite) {
	t := s.t
	w := filled[ledger.Webhook]()
	create := func(w ledger.Webhook) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateWebhook(ctx, w) })
	}
	require.ErrorIs(t, create(w), store.ErrNotFound, "its account does not exist")
	s.account(w.Account)
	require.NoError(t, create(w))
	require.ErrorIs(t, create(w), store.ErrAlreadyExists)
	byName := func(ctx context.Context, r store.Reader) (ledger.Webhook, error) {
		return r.Webhook(ctx, w.Account, w.Name)
	}
	byPath := func(path string) func(context.Context, store.Reader) (ledger.Webhook, error) {
		return func(ctx context.Context, r store.Reader) (ledger.Webhook, error) { return r.WebhookByPath(ctx, path) }
	}
	require.Equal(t, w, get(s, byName))
	require.Equal(t, w, get(s, byPath(w.Path)))
	missing(s, byPath(w.Path+"x"))
	require.Equal(t, []string{w.Name}, get(s, func(ctx context.Context, r store.Reader) ([]string, error) {
		return r.WebhooksOfConnection(ctx, w.Account, w.Connection)
	}))

	use := filledFrom[ledger.WebhookUse](77)
	hooks := []ledger.ManagedHook{filledFrom[ledger.ManagedHook](99)}
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.SetWebhookUse(ctx, w.ID, use); err != nil {
			return err
		}
		return tx.SetManagedHooks(ctx, w.ID, hooks)
	})
	w.Used, w.Hooks = use, hooks
	require.Equal(t, w, get(s, byName), "neither is a change of the webhook")

	changed := filledFrom[ledger.Webhook](200)
	changed.ID, changed.Account, changed.Name, changed.Path, changed.CreatedAt = w.ID, w.Account, w.Name, w.Path, w.CreatedAt
	changed.Hooks, changed.Used, changed.Revision = w.Hooks, w.Used, w.Revision
	set := func(ctx context.Context, tx store.Tx) error { return tx.UpdateWebhook(ctx, changed) }
	s.update(set)
	require.ErrorIs(t, s.try(set), store.ErrStale)
	changed.Revision++
	require.Equal(t, changed, get(s, byName))
	confirm := func(id string, revision int64) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.ConfirmWebhook(ctx, id, revision) })
	}
	require.NoError(t, confirm(w.ID, changed.Revision))
	require.ErrorIs(t, confirm(w.ID, w.Revision), store.ErrStale)
	require.ErrorIs(t, confirm(w.ID+"x", changed.Revision), store.ErrStale)

	d := filled[ledger.Delivery]()
	d.WebhookID, d.Account = w.ID, w.Account
	deliver := func(d ledger.Delivery, body string) (id string) {
		s.update(func(ctx context.Context, tx store.Tx) (err error) {
			id, err = tx.CreateDelivery(ctx, d, []byte(body))
			return err
		})
		return id
	}
	require.Equal(t, d.ID, deliver(d, "\x00\xffbody"))
	again := d
	again.ID = "again"
	require.Equal(t, d.ID, deliver(again, "other"), "it has the id of the first")
	d.Attempts++
	read := func(ctx context.Context, r store.Reader) (ledger.Delivery, error) {
		return r.Delivery(ctx, d.Account, d.ID)
	}
	body := func() string {
		return string(get(s, func(ctx context.Context, r store.Reader) ([]byte, error) { return r.DeliveryBody(ctx, d.Account, d.ID) }))
	}
	require.Equal(t, d, get(s, read))
	require.Equal(t, "\x00\xffbody", body())
	refused := ledger.Delivery{ID: "a", WebhookID: w.ID, Account: w.Account, Dedup: "minute reason", Status: ledger.Refused, Attempts: 3, ReceivedAt: day()}
	for range 2 {
		s.update(func(ctx context.Context, tx store.Tx) error { return tx.AddRefusals(ctx, refused) })
	}
	require.Equal(t, 1, get(s, func(ctx context.Context, r store.Reader) (int, error) { return r.CountRefusals(ctx, w.ID, "minute") }))
	list := func(f store.DeliveryFilter) (ids []string) {
		for _, d := range get(s, func(ctx context.Context, r store.Reader) ([]ledger.Delivery, error) { return r.Deliveries(ctx, f) }) {
			ids = append(ids, d.ID)
		}
		return ids
	}
	require.Equal(t, []string{d.ID, "a"}, list(store.DeliveryFilter{Account: w.Account}))
	require.Equal(t, []string{"a"}, list(store.DeliveryFilter{WebhookID: w.ID, Status: ledger.Refused}))
	require.Equal(t, []string{"a"}, list(store.DeliveryFilter{WebhookID: w.ID, Before: d.ID, Size: 1}))
	remove := func(fn func(context.Context, store.Tx) (int, error)) (n int) {
		s.update(func(ctx context.Context, tx store.Tx) (err error) {
			n, err = fn(ctx, tx)
			return err
		})
		return n
	}
	bodies := func(ctx context.Context, tx store.Tx) (int, error) { return tx.RemoveBodies(ctx, "z", 10) }
	require.Equal(t, 1, remove(bodies))
	require.Zero(t, remove(bodies))
	require.Empty(t, body())
	require.Equal(t, 1, remove(func(ctx context.Context, tx store.Tx) (int, error) { return tx.RemoveDeliveries(ctx, "z", true, 10) }))
	require.Equal(t, []string{d.ID}, list(store.DeliveryFilter{Account: w.Account}))
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteWebhook(ctx, w.ID) })
	missing(s, byName)
	missing(s, read)
}

func testLedger(s *suite) {
	t := s.t
	repo := filled[ledger.Repository]()
	s.account(repo.Account)
	create := func(r ledger.Repository) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateRepository(ctx, r) })
	}
	require.NoError(t, create(repo))
	twin := repo
	twin.ID = "twin"
	require.ErrorIs(t, create(twin), store.ErrStale)
	require.Equal(t, repo, get(s, func(ctx context.Context, r store.Reader) (ledger.Repository, error) {
		return r.RepositoryNamed(ctx, repo.Account, repo.Connection, repo.Name)
	}))
	require.Equal(t, repo, get(s, func(ctx context.Context, r store.Reader) (ledger.Repository, error) {
		return r.RepositoryNumbered(ctx, repo.Account, repo.Connection, repo.ForgeID)
	}))
	move := func(m ledger.Move, known bool) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.MoveRef(ctx, m, known) })
	}
	first := filled[ledger.Move]()
	first.RepositoryID, first.Number = repo.ID, 1
	require.NoError(t, move(first, false))
	require.ErrorIs(t, move(first, false), store.ErrStale, "the ref is known")
	second := filledFrom[ledger.Move](300)
	second.RepositoryID, second.Ref, second.Number, second.From = repo.ID, first.Ref, 2, first.To
	stale := second
	stale.From = "elsewhere"
	require.ErrorIs(t, move(stale, true), store.ErrStale)
	require.NoError(t, move(second, true))
	require.ErrorIs(t, move(second, true), store.ErrStale)
	s.update(func(ctx context.Context, tx store.Tx) error {
		ref, made, err := tx.Ref(ctx, repo.ID, first.Ref, first.From, first.To)
		require.Equal(t, ledger.Ref{RepositoryID: repo.ID, Ref: first.Ref, Head: second.To, Move: 2, SeenAt: second.At, FoundBy: second.FoundBy}, ref)
		require.True(t, made)
		return err
	})
	require.Equal(t, second, get(s, func(ctx context.Context, r store.Reader) (ledger.Move, error) {
		return r.MoveNumbered(ctx, repo.ID, first.Ref, 2)
	}))
	require.Equal(t, first, get(s, func(ctx context.Context, r store.Reader) (ledger.Move, error) {
		return r.MoveNumbered(ctx, repo.ID, first.Ref, 1)
	}))
	require.Equal(t, []ledger.Move{second}, get(s, func(ctx context.Context, r store.Reader) ([]ledger.Move, error) {
		return r.MovesTo(ctx, repo.ID, second.To[:7], 5)
	}))
	s.update(func(ctx context.Context, tx store.Tx) error {
		n, err := tx.RemoveMoves(ctx, first.At.Add(time.Microsecond), 10)
		require.Equal(t, 1, n)
		return err
	})
	read := ledger.Ref{RepositoryID: repo.ID, Ref: "refs/heads/read", Head: "b", SeenAt: first.At, FoundBy: ledger.ByBaseline}
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.CreateRef(ctx, read) })
	found := filledFrom[ledger.Move](700)
	found.RepositoryID, found.Ref, found.From, found.To, found.Number = repo.ID, read.Ref, "a", "elsewhere", 1
	record := func() error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.RecordFirstMove(ctx, found) })
	}
	require.ErrorIs(t, record(), store.ErrStale)
	found.To = read.Head
	require.NoError(t, record())
	require.ErrorIs(t, record(), store.ErrStale, "the ref has a move")
	s.update(func(ctx context.Context, tx store.Tx) error {
		ref, made, err := tx.Ref(ctx, repo.ID, read.Ref, "a", "b")
		require.Equal(t, ledger.Ref{RepositoryID: repo.ID, Ref: read.Ref, Head: "b", Move: 1, SeenAt: found.At, FoundBy: found.FoundBy}, ref)
		require.True(t, made)
		return err
	})
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteRepository(ctx, repo.ID) })
	missing(s, func(ctx context.Context, r store.Reader) (ledger.Repository, error) {
		return r.Repository(ctx, repo.ID)
	})
}

func testTriggers(s *suite) {
	t := s.t
	g := filled[ledger.Trigger]()
	s.account(g.Account)
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.CreateTrigger(ctx, g) })
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateTrigger(ctx, g) }), store.ErrAlreadyExists)
	byName := func(ctx context.Context, r store.Reader) (ledger.Trigger, error) {
		return r.Trigger(ctx, g.Account, g.Owner, g.Name)
	}
	require.Equal(t, g, get(s, byName))
	for _, of := range []func(context.Context, store.Reader) ([]ledger.Trigger, error){
		func(ctx context.Context, r store.Reader) ([]ledger.Trigger, error) {
			return r.Triggers(ctx, g.Account, "")
		},
		func(ctx context.Context, r store.Reader) ([]ledger.Trigger, error) {
			return r.Triggers(ctx, g.Account, g.Pipeline)
		},
		func(ctx context.Context, r store.Reader) ([]ledger.Trigger, error) {
			return r.TriggersOfRepository(ctx, g.RepositoryID)
		},
		func(ctx context.Context, r store.Reader) ([]ledger.Trigger, error) {
			return r.TriggersOfWebhook(ctx, g.Account, g.Webhook)
		},
	} {
		require.Equal(t, []ledger.Trigger{g}, get(s, of))
	}
	changed := filledFrom[ledger.Trigger](500)
	changed.ID, changed.Account, changed.Owner, changed.Name, changed.CreatedAt, changed.Revision = g.ID, g.Account, g.Owner, g.Name, g.CreatedAt, g.Revision
	changed.Pause, changed.Baselined = g.Pause, false
	set := func(ctx context.Context, tx store.Tx) error { return tx.UpdateTrigger(ctx, changed) }
	s.update(set)
	require.ErrorIs(t, s.try(set), store.ErrStale)
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.SetBaselined(ctx, changed.RepositoryID, changed.UpdatedAt); err != nil {
			return err
		}
		return tx.SetTriggerPause(ctx, g.ID, nil)
	})
	changed.Revision++
	changed.Pause, changed.Baselined = nil, true
	require.Equal(t, changed, get(s, byName))

	compared := func(ctx context.Context, r store.Reader) (string, error) {
		return r.Compared(ctx, g.ID, "refs/heads/main")
	}
	missing(s, compared)
	for _, head := range []string{"a", "b"} {
		s.update(func(ctx context.Context, tx store.Tx) error {
			return tx.SetCompared(ctx, g.ID, "refs/heads/main", head)
		})
		require.Equal(t, head, get(s, compared))
	}
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteTrigger(ctx, g.ID) })
	missing(s, byName)
	missing(s, compared)
}

func testDecisions(s *suite) {
	t := s.t
	d := filled[ledger.Decision]()
	create := func(d ledger.Decision) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateDecision(ctx, d) })
	}
	s.account(d.Account)
	require.NoError(t, create(d))
	twin := d
	twin.ID = "twin"
	require.ErrorIs(t, create(twin), store.ErrStale, "one decision starts")
	twin.StartKey, twin.Turn = "", ""
	require.NoError(t, create(twin))
	third := twin
	third.ID = "third"
	require.NoError(t, create(third), "many start nothing")
	require.Equal(t, d, get(s, func(ctx context.Context, r store.Reader) (ledger.Decision, error) {
		return r.DecisionByStart(ctx, d.StartKey)
	}))
	missing(s, func(ctx context.Context, r store.Reader) (ledger.Decision, error) { return r.DecisionByStart(ctx, "") })
	require.Equal(t, []ledger.Decision{d}, get(s, func(ctx context.Context, r store.Reader) ([]ledger.Decision, error) {
		return r.PendingDecisions(ctx, d.RepositoryID, d.Ref)
	}))
	require.Len(t, get(s, func(ctx context.Context, r store.Reader) ([]ledger.Decision, error) {
		return r.DecisionsOfDelivery(ctx, d.DeliveryID)
	}), 3)
	for _, f := range []store.DecisionFilter{
		{Account: d.Account},
		{Account: d.Account, Pipeline: d.Pipeline},
		{TriggerID: d.TriggerID},
		{Account: d.Account, Ref: d.Ref},
		{Account: d.Account, Commit: d.ToCommit[:7], Pipeline: d.Pipeline},
	} {
		found := get(s, func(ctx context.Context, r store.Reader) ([]ledger.Decision, error) { return r.Decisions(ctx, f) })
		require.Len(t, found, 3)
		require.Equal(t, "twin", found[0].ID, "newest first")
	}
	ended := filledFrom[ledger.Decision](400)
	ended.ID, ended.Account, ended.Pipeline, ended.TriggerID, ended.DeliveryID = d.ID, d.Account, d.Pipeline, d.TriggerID, d.DeliveryID
	ended.RepositoryID, ended.Ref, ended.Turn = d.RepositoryID, d.Ref, ""
	end := func(ctx context.Context, tx store.Tx) error { return tx.EndDecision(ctx, ended) }
	s.update(end)
	require.ErrorIs(t, s.try(end), store.ErrStale)
	require.Equal(t, ended, get(s, func(ctx context.Context, r store.Reader) (ledger.Decision, error) {
		return r.Decision(ctx, d.Account, d.ID)
	}))
	s.update(func(ctx context.Context, tx store.Tx) error {
		n, err := tx.RemoveDecisions(ctx, "zzz", 10)
		require.Equal(t, 3, n)
		return err
	})
}
