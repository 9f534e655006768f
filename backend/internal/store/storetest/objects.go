package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func testAccounts(s *suite) {
	t := s.t
	for _, name := range []string{"b", "a", "B", "ab"} {
		s.account(name)
	}
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "a"})
	}), store.ErrAlreadyExists)
	account := func(name string) func(context.Context, store.Reader) (auth.Account, error) {
		return func(ctx context.Context, r store.Reader) (auth.Account, error) { return r.Account(ctx, name) }
	}
	require.Equal(t, auth.Account{Name: "b", CreatedAt: day()}, get(s, account("b")))
	missing(s, account("A"))
	missing(s, account(""))
	var names []string
	for _, a := range get(s, func(ctx context.Context, r store.Reader) ([]auth.Account, error) {
		return r.Accounts(ctx, store.Page{})
	}) {
		require.Equal(t, day(), a.CreatedAt)
		names = append(names, a.Name)
	}
	require.Equal(t, []string{"B", "a", "ab", "b"}, names, "names are ordered by their bytes")
	page := get(s, func(ctx context.Context, r store.Reader) ([]auth.Account, error) {
		return r.Accounts(ctx, store.Page{Size: 2, After: "B"})
	})
	require.Equal(t, []string{"a", "ab"}, []string{page[0].Name, page[1].Name})
	require.Len(t, page, 2)

	// A decision that kept the settings in memory must not be confirmed after they changed.
	revision := s.rulesRevision("ab")
	require.False(t, get(s, account("ab")).RequireApprovalRule)
	for _, required := range []bool{true, false} {
		s.update(func(ctx context.Context, tx store.Tx) error {
			return tx.UpdateAccount(ctx, auth.Account{Name: "ab", RequireApprovalRule: required})
		})
		require.Equal(t, auth.Account{Name: "ab", CreatedAt: day(), RequireApprovalRule: required}, get(s, account("ab")))
		require.ErrorIs(t, s.confirmRules("ab", revision), store.ErrStale)
		revision = s.rulesRevision("ab")
		require.NoError(t, s.confirmRules("ab", revision))
	}
	require.False(t, get(s, account("a")).RequireApprovalRule, "of another account")
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.UpdateAccount(ctx, auth.Account{Name: "ghost"})
	}), store.ErrNotFound)
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "strict", RequireApprovalRule: true})
	})
	require.True(t, get(s, account("strict")).RequireApprovalRule)
}

func testTokens(s *suite) {
	t := s.t
	token := filled[auth.Token]()
	other := auth.Token{ID: "z", Hash: "h2", CreatedAt: token.CreatedAt.Add(-time.Hour)}
	s.update(func(ctx context.Context, tx store.Tx) error {
		if err := tx.CreateToken(ctx, token); err != nil {
			return err
		}
		return tx.CreateToken(ctx, other)
	})
	byHash := func(hash string) func(context.Context, store.Reader) (auth.Token, error) {
		return func(ctx context.Context, r store.Reader) (auth.Token, error) { return r.TokenByHash(ctx, hash) }
	}
	require.Equal(t, token, get(s, byHash(token.Hash)))
	require.Equal(t, other, get(s, byHash("h2")))
	missing(s, byHash("H2"))
	page := func(page store.Page) []auth.Token {
		return get(s, func(ctx context.Context, r store.Reader) ([]auth.Token, error) { return r.Tokens(ctx, page) })
	}
	require.Equal(t, []auth.Token{token, other}, page(store.Page{}), "by id")
	require.Equal(t, []auth.Token{token}, page(store.Page{Size: 1}))
	require.Equal(t, []auth.Token{other}, page(store.Page{Size: 1, After: token.ID}))
	byID := func(ctx context.Context, r store.Reader) (auth.Token, error) { return r.Token(ctx, "z") }
	require.Equal(t, other, get(s, byID))
	for _, twin := range []auth.Token{{ID: token.ID, Hash: "h3"}, {ID: "new", Hash: token.Hash}} {
		require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateToken(ctx, twin) }), store.ErrAlreadyExists)
	}
	remove := func(ctx context.Context, tx store.Tx) error { return tx.DeleteToken(ctx, "z") }
	s.update(remove)
	missing(s, byHash("h2"))
	missing(s, byID)
	require.ErrorIs(t, s.try(remove), store.ErrNotFound)
}

func testSessions(s *suite) {
	t := s.t
	token := auth.Token{ID: "t", Hash: "h", CreatedAt: day()}
	session := filled[auth.Session]()
	session.Token, session.CreatedAt = token.ID, day()
	session.IdleAt, session.EndsAt = day().Add(2*time.Hour), day().Add(3*time.Hour)
	create := func(session auth.Session) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateSession(ctx, session, 3) })
	}
	byHash := func(hash string) func(context.Context, store.Reader) (auth.Session, error) {
		return func(ctx context.Context, r store.Reader) (auth.Session, error) { return r.Session(ctx, hash) }
	}
	require.ErrorIs(t, create(session), store.ErrNotFound, "its token does not exist")
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.CreateToken(ctx, token) })
	require.NoError(t, create(session))
	require.Equal(t, session, get(s, byHash(session.Hash)))
	require.ErrorIs(t, create(session), store.ErrAlreadyExists)
	missing(s, byHash(strings.ToUpper(session.Hash)))

	used := session
	used.IdleAt = day().Add(4 * time.Hour)
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdateSession(ctx, used) })
	require.Equal(t, used, get(s, byHash(session.Hash)))
	require.ErrorIs(t, s.try(func(ctx context.Context, tx store.Tx) error {
		return tx.UpdateSession(ctx, auth.Session{Hash: "ghost", Token: "t"})
	}), store.ErrNotFound)

	// at creates a session that is not used for an hour.
	at := func(hash string, after time.Duration) {
		began := day().Add(after)
		require.NoError(t, create(auth.Session{Hash: hash, Token: "t", CreatedAt: began, IdleAt: began.Add(time.Hour), EndsAt: began.Add(2 * time.Hour)}))
	}
	at("idle", 0)
	at("next", time.Hour-time.Second)
	require.Equal(t, "idle", get(s, byHash("idle")).Hash)
	at("last", time.Hour)
	missing(s, byHash("idle"))
	require.Equal(t, used, get(s, byHash(session.Hash)), "its end has not come")
	at("more", time.Hour+time.Second)
	missing(s, byHash("next"))
	require.Equal(t, used, get(s, byHash(session.Hash)), "of more than three, the one that was not used for the longest goes")
	at("end", 3*time.Hour)
	missing(s, byHash(session.Hash))

	remove := func(ctx context.Context, tx store.Tx) error { return tx.DeleteSession(ctx, "end") }
	s.update(remove)
	missing(s, byHash("end"))
	s.update(remove)
	at("of the token", 3*time.Hour)
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.DeleteToken(ctx, "t") })
	missing(s, byHash("of the token"))
}

func pipelineNamed(account, name string) func(context.Context, store.Reader) (definition.Pipeline, error) {
	return func(ctx context.Context, r store.Reader) (definition.Pipeline, error) {
		return r.Pipeline(ctx, account, name)
	}
}

func testPipelines(s *suite) {
	t := s.t
	p := filled[definition.Pipeline]()
	create := func(p definition.Pipeline) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreatePipeline(ctx, p) })
	}
	require.ErrorIs(t, create(p), store.ErrNotFound, "its account does not exist")
	s.account(p.Account)
	s.account("other")
	require.NoError(t, create(p))
	require.Equal(t, p, get(s, pipelineNamed(p.Account, p.Name)))
	missing(s, pipelineNamed("other", p.Name))
	missing(s, pipelineNamed(p.Account, strings.ToUpper(p.Name)))

	require.ErrorIs(t, create(definition.Pipeline{ID: "new", Account: p.Account, Name: p.Name}), store.ErrAlreadyExists)
	require.ErrorIs(t, create(definition.Pipeline{ID: p.ID, Account: p.Account, Name: "new"}), store.ErrAlreadyExists)
	require.NoError(t, create(definition.Pipeline{ID: "new", Account: "other", Name: p.Name}), "each account has its own names")
	require.NoError(t, create(definition.Pipeline{ID: "cased", Account: p.Account, Name: strings.ToUpper(p.Name)}))

	remove := func(revision int64) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.DeletePipeline(ctx, p.ID, revision) })
	}
	require.ErrorIs(t, remove(p.Revision+1), store.ErrStale)
	require.Equal(t, p, get(s, pipelineNamed(p.Account, p.Name)))
	require.NoError(t, remove(p.Revision))
	missing(s, pipelineNamed(p.Account, p.Name))
	require.ErrorIs(t, remove(p.Revision), store.ErrStale)
	require.Equal(t, "new", get(s, pipelineNamed("other", p.Name)).ID)
}

func testPipelineIsCompareAndSet(s *suite) {
	t := s.t
	first := definition.Pipeline{ID: "p", Account: "a", Name: "web", Composed: true, Revision: 1, CreatedAt: day(), UpdatedAt: day()}
	s.account("a")
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.CreatePipeline(ctx, first) })
	set := func(p definition.Pipeline) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.UpdatePipeline(ctx, p) })
	}
	// What never changes is the identity; all else is written.
	second := filled[definition.Pipeline]()
	second.ID, second.Account, second.Name, second.Composed, second.CreatedAt = first.ID, first.Account, first.Name, first.Composed, first.CreatedAt
	second.Revision = 1
	require.NoError(t, set(second))
	second.Revision = 2
	require.Equal(t, second, get(s, pipelineNamed("a", "web")))

	stale := second
	stale.Revision, stale.Digest = 1, "stale"
	require.ErrorIs(t, set(stale), store.ErrStale)
	stale.Revision = 3
	require.ErrorIs(t, set(stale), store.ErrStale)
	require.Equal(t, second, get(s, pipelineNamed("a", "web")))
	stale.ID = "unknown"
	require.ErrorIs(t, set(stale), store.ErrStale)
}

func testPipelinePages(s *suite) {
	t := s.t
	s.account("a")
	s.account("b")
	for i, name := range []string{"d", "b", "a", "c", "B"} {
		s.update(func(ctx context.Context, tx store.Tx) error {
			if err := tx.CreatePipeline(ctx, definition.Pipeline{ID: fmt.Sprint(i), Account: "a", Name: name}); err != nil {
				return err
			}
			return tx.CreatePipeline(ctx, definition.Pipeline{ID: fmt.Sprint("b", i), Account: "b", Name: "b" + name})
		})
	}
	page := func(account string, size int, after string) (names []string) {
		for _, p := range get(s, func(ctx context.Context, r store.Reader) ([]definition.Pipeline, error) {
			return r.Pipelines(ctx, account, store.Page{Size: size, After: after})
		}) {
			names = append(names, p.Name)
		}
		return names
	}
	require.Equal(t, []string{"B", "a"}, page("a", 2, ""))
	require.Equal(t, []string{"b", "c"}, page("a", 2, "a"))
	require.Equal(t, []string{"d"}, page("a", 2, "c"))
	require.Empty(t, page("a", 2, "d"))
	require.Equal(t, []string{"b", "c"}, page("a", 2, "aa"), "the record of the token may be gone")
	require.Len(t, page("a", 0, ""), 5)
	require.Equal(t, []string{"bB"}, page("b", 1, ""))
	require.Empty(t, page("unknown", 9, ""))

	heads := get(s, func(ctx context.Context, r store.Reader) ([]definition.Pipeline, error) {
		return r.PipelineHeads(ctx, "a")
	})
	var names []string
	for _, head := range heads {
		names = append(names, head.Name)
		whole := get(s, func(ctx context.Context, r store.Reader) (definition.Pipeline, error) {
			return r.Pipeline(ctx, "a", head.Name)
		})
		require.Equal(t, definition.Pipeline{ID: whole.ID, Account: "a", Name: whole.Name, Revision: whole.Revision, UpdatedAt: whole.UpdatedAt}, head)
	}
	require.Equal(t, []string{"B", "a", "b", "c", "d"}, names)
	require.Empty(t, get(s, func(ctx context.Context, r store.Reader) ([]definition.Pipeline, error) {
		return r.PipelineHeads(ctx, "unknown")
	}))
}

func testPipelineVersions(s *suite) {
	t := s.t
	s.account("a")
	v := filled[definition.Version]()
	create := func(v definition.Version) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreatePipelineVersion(ctx, v) })
	}
	require.ErrorIs(t, create(v), store.ErrNotFound, "its pipeline does not exist")
	s.pipeline(v.PipelineID)
	s.pipeline("other")
	require.NoError(t, create(v))
	require.ErrorIs(t, create(v), store.ErrAlreadyExists)
	version := func(id string, n int64) func(context.Context, store.Reader) (definition.Version, error) {
		return func(ctx context.Context, r store.Reader) (definition.Version, error) {
			return r.PipelineVersion(ctx, id, n)
		}
	}
	require.Equal(t, v, get(s, version(v.PipelineID, v.Version)))
	missing(s, version(v.PipelineID, v.Version+1))
	missing(s, version("other", v.Version))
	for n := range int64(12) {
		require.NoError(t, create(definition.Version{PipelineID: "other", Version: n + 1}))
	}
	list := func(before int64, size int) (numbers []int64) {
		for _, v := range get(s, func(ctx context.Context, r store.Reader) ([]definition.Version, error) {
			return r.PipelineVersions(ctx, "other", before, size)
		}) {
			numbers = append(numbers, v.Version)
		}
		return numbers
	}
	require.Equal(t, []int64{12, 11, 10}, list(0, 3), "newest first, by number")
	require.Equal(t, []int64{9, 8}, list(10, 2))
	require.Equal(t, []int64{1}, list(2, 5))
	require.Empty(t, list(1, 5))
	require.Len(t, list(0, 0), 12)
}

func (s *suite) rulesRevision(account string) int64 {
	s.t.Helper()
	var revision int64
	s.update(func(ctx context.Context, tx store.Tx) (err error) {
		revision, err = tx.RulesRevision(ctx, account)
		return err
	})
	return revision
}

// confirmRules confirms them beside a write, which fails with what is not confirmed.
func (s *suite) confirmRules(account string, revision int64) error {
	name := fmt.Sprintf("beside %d others", len(s.accounts()))
	err := s.try(func(ctx context.Context, tx store.Tx) error {
		return errors.Join(tx.ConfirmRules(ctx, account, revision), tx.CreateAccount(ctx, auth.Account{Name: name}))
	})
	require.Equal(s.t, err == nil, slices.Contains(s.accounts(), name), "the write beside it")
	return err
}

func testApprovalRules(s *suite) {
	t := s.t
	rule := filled[approval.Rule]()
	create := func(rule approval.Rule) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.CreateApprovalRule(ctx, rule) })
	}
	byName := func(account, name string) func(context.Context, store.Reader) (approval.Rule, error) {
		return func(ctx context.Context, r store.Reader) (approval.Rule, error) {
			return r.ApprovalRule(ctx, account, name)
		}
	}
	require.ErrorIs(t, create(rule), store.ErrNotFound, "its account does not exist")
	s.account(rule.Account)
	s.account("other")
	require.NoError(t, create(rule))
	require.ErrorIs(t, create(rule), store.ErrAlreadyExists)
	require.Equal(t, rule, get(s, byName(rule.Account, rule.Name)))
	revision := s.rulesRevision(rule.Account)
	missing(s, byName("other", rule.Name))
	missing(s, byName(rule.Account, strings.ToUpper(rule.Name)))

	changed := rule
	changed.Description, changed.Pipelines, changed.Users, changed.MinimumCount = "", []string{"new"}, nil, 99
	changed.UpdatedAt = changed.UpdatedAt.Add(time.Hour)
	set := func(ctx context.Context, tx store.Tx) error { return tx.UpdateApprovalRule(ctx, changed) }
	s.update(set)
	require.ErrorIs(t, s.try(set), store.ErrStale)
	changed.Revision++
	require.Equal(t, changed, get(s, byName(rule.Account, rule.Name)))
	require.ErrorIs(t, s.confirmRules(rule.Account, revision), store.ErrStale, "a rule changed")
	revision = s.rulesRevision(rule.Account)

	for _, name := range []string{"c", "a", "b"} {
		revision := s.rulesRevision("other")
		require.NoError(t, create(approval.Rule{Account: "other", Name: name}))
		require.ErrorIs(t, s.confirmRules("other", revision), store.ErrStale, "there is a new rule")
	}
	require.NoError(t, s.confirmRules(rule.Account, revision), "these are another account's")
	require.ErrorIs(t, s.confirmRules("nobody", 0), store.ErrStale)
	list := func(page store.Page) (names []string) {
		for _, r := range get(s, func(ctx context.Context, r store.Reader) ([]approval.Rule, error) {
			return r.ApprovalRules(ctx, "other", page)
		}) {
			names = append(names, r.Name)
		}
		return names
	}
	require.Equal(t, []string{"a", "b", "c"}, list(store.Page{}))
	require.Equal(t, []string{"b"}, list(store.Page{Size: 1, After: "a"}))
	remove := func(ctx context.Context, tx store.Tx) error {
		return tx.DeleteApprovalRule(ctx, rule.Account, rule.Name)
	}
	s.update(remove)
	require.ErrorIs(t, s.confirmRules(rule.Account, revision), store.ErrStale, "a rule is gone")
	missing(s, byName(rule.Account, rule.Name))
	require.ErrorIs(t, s.try(remove), store.ErrNotFound)
}

func testRequests(s *suite) {
	t := s.t
	save := func(account, method, id, resource string) error {
		return s.try(func(ctx context.Context, tx store.Tx) error {
			return tx.SaveRequest(ctx, account, method, id, resource, day())
		})
	}
	request := func(account, method, id string) func(context.Context, store.Reader) (string, error) {
		return func(ctx context.Context, r store.Reader) (string, error) { return r.Request(ctx, account, method, id) }
	}
	missing(s, request("a", "Start", "1"))
	require.NoError(t, save("a", "Start", "1", "e1"))
	require.ErrorIs(t, save("a", "Start", "1", "e2"), store.ErrAlreadyExists)
	require.NoError(t, save("b", "Start", "1", "e3"))
	require.NoError(t, save("a", "Start", "2", "e5"))
	require.NoError(t, save("a", "Stop", "1", "e4"))
	require.Equal(t, "e1", get(s, request("a", "Start", "1")))
	require.Equal(t, "e3", get(s, request("b", "Start", "1")))
	require.Equal(t, "e5", get(s, request("a", "Start", "2")))
	missing(s, request("a", "start", "1"))
	// A day later it is forgotten, and no sooner.
	at := func(id string, after time.Duration) {
		s.update(func(ctx context.Context, tx store.Tx) error {
			return tx.SaveRequest(ctx, "a", "Start", id, "later", day().Add(after))
		})
	}
	at("3", 24*time.Hour)
	require.Equal(t, "e1", get(s, request("a", "Start", "1")))
	at("1b", 24*time.Hour+time.Second)
	missing(s, request("a", "Start", "1"))
	missing(s, request("b", "Start", "1"))
	require.Equal(t, "later", get(s, request("a", "Start", "3")))
	at("1", 24*time.Hour+time.Second)
}

func testCreations(s *suite) {
	t := s.t
	const web = "accounts/a/pipelines/web"
	of := func(ctx context.Context, r store.Reader) (store.Creation, error) { return r.Creation(ctx, web) }
	save := func(c store.Creation) {
		s.update(func(ctx context.Context, tx store.Tx) error { return tx.SaveCreation(ctx, c) })
	}
	replace := func(seen string, c store.Creation) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.UpdateCreation(ctx, seen, c) })
	}
	missing(s, of)
	first := store.Creation{Resource: web, RequestID: "s/1", Principal: "ann", Object: "1", CreatedAt: day()}
	require.ErrorIs(t, replace("s/1", first), store.ErrStale)
	save(first)
	require.Equal(t, first, get(s, of))
	second := store.Creation{Resource: web, RequestID: "s/2", Principal: "bob", Object: "2", CreatedAt: day()}
	save(second)
	require.Equal(t, second, get(s, of), "an object of the same name was created later")

	// Of several that take it over at once, one does.
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() {
			next := second
			next.RequestID = fmt.Sprintf("s/%d", 10+i)
			errs[i] = replace("s/2", next)
		})
	}
	group.Wait()
	taken := -1
	for i, err := range errs {
		if err == nil {
			require.Negative(t, taken)
			taken = i
		} else {
			require.ErrorIs(t, err, store.ErrStale)
		}
	}
	second.RequestID = fmt.Sprintf("s/%d", 10+taken)
	require.Equal(t, second, get(s, of))
	confirmed := second
	confirmed.Confirmed = true
	require.NoError(t, replace(second.RequestID, confirmed))
	require.Equal(t, confirmed, get(s, of))
	require.ErrorIs(t, replace(second.RequestID, second), store.ErrStale, "it is confirmed")

	// An hour later it is forgotten, and no sooner.
	save(store.Creation{Resource: "later", RequestID: "s/3", CreatedAt: day().Add(time.Hour)})
	require.Equal(t, confirmed, get(s, of))
	save(store.Creation{Resource: "last", RequestID: "s/4", CreatedAt: day().Add(time.Hour + time.Second)})
	missing(s, of)
	forget := func(ctx context.Context, tx store.Tx) error { return tx.DeleteCreation(ctx, "last") }
	s.update(forget)
	missing(s, func(ctx context.Context, r store.Reader) (store.Creation, error) { return r.Creation(ctx, "last") })
	s.update(forget)
}

func testIdentities(s *suite) {
	t := s.t
	set := func(of store.IdentityKind, seen, id string) error {
		return s.try(func(ctx context.Context, tx store.Tx) error { return tx.SetIdentity(ctx, of, seen, id) })
	}
	identity := func(of store.IdentityKind) func(context.Context, store.Reader) (string, error) {
		return func(ctx context.Context, r store.Reader) (string, error) { return r.Identity(ctx, of) }
	}
	missing(s, identity(store.StorageIdentity))
	require.ErrorIs(t, set(store.StorageIdentity, "other", "new"), store.ErrStale)
	// Of several that give the first at once, one does.
	errs := make([]error, 8)
	var group sync.WaitGroup
	for i := range errs {
		group.Go(func() { errs[i] = set(store.StorageIdentity, "", fmt.Sprintf("first %d", i)) })
	}
	group.Wait()
	given := 0
	for _, err := range errs {
		if err == nil {
			given++
		} else {
			require.ErrorIs(t, err, store.ErrStale)
		}
	}
	require.Equal(t, 1, given)
	first := get(s, identity(store.StorageIdentity))
	missing(s, identity(store.DatabaseIdentity))
	require.NoError(t, set(store.DatabaseIdentity, "", "database"))
	require.NoError(t, set(store.StorageIdentity, first, "second"))
	require.ErrorIs(t, set(store.StorageIdentity, first, "third"), store.ErrStale)
	s.restart()
	require.Equal(t, "second", get(s, identity(store.StorageIdentity)))
	require.Equal(t, "database", get(s, identity(store.DatabaseIdentity)))
}

func testNextNumber(s *suite) {
	t := s.t
	s.account("a")
	s.pipeline("p")
	s.pipeline("q")
	next := func(id string) (n int64, err error) {
		err = s.try(func(ctx context.Context, tx store.Tx) (err error) {
			n, err = tx.NextNumber(ctx, id)
			return err
		})
		return n, err
	}
	for want := range int64(3) {
		n, err := next("p")
		require.NoError(t, err)
		require.Equal(t, want+1, n)
	}
	n, err := next("q")
	require.NoError(t, err)
	require.Equal(t, int64(1), n)
	_, err = next("unknown")
	require.ErrorIs(t, err, store.ErrNotFound)
	// Writing the pipeline leaves the count alone.
	p := get(s, pipelineNamed("a", "name of p"))
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.UpdatePipeline(ctx, p) })
	n, err = next("p")
	require.NoError(t, err)
	require.Equal(t, int64(4), n)
}

func testTexts(s *suite) {
	t := s.t
	for i, name := range []string{
		"", " ", "'; DROP TABLE accounts; --", "$1", "%_", `back\slash`, "line\nbreak\ttab\r", "水路", "👩‍🔧", "e\u0301", "\u00e9", "\u200f\ufeff", strings.Repeat("long", 10000),
	} {
		s.account(name)
		p := definition.Pipeline{ID: fmt.Sprint(i), Account: name, Name: name, Digest: name, Definition: pipeline.Definition{Description: name}}
		s.update(func(ctx context.Context, tx store.Tx) error { return tx.CreatePipeline(ctx, p) })
		require.Equal(t, p, get(s, pipelineNamed(name, name)))
	}
}

func testTimes(s *suite) {
	t := s.t
	for i, at := range []time.Time{
		{}, day(), day().Truncate(time.Second), time.Date(1969, 7, 20, 20, 17, 40, 1000, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC),
	} {
		name := fmt.Sprint(i)
		s.update(func(ctx context.Context, tx store.Tx) error {
			return tx.CreateAccount(ctx, auth.Account{Name: name, CreatedAt: at})
		})
		require.Equal(t, at, get(s, func(ctx context.Context, r store.Reader) (auth.Account, error) { return r.Account(ctx, name) }).CreatedAt)
	}
	local := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.FixedZone("elsewhere", 3600))
	s.update(func(ctx context.Context, tx store.Tx) error {
		return tx.CreateAccount(ctx, auth.Account{Name: "local", CreatedAt: local})
	})
	require.Equal(t, time.Date(2026, 3, 1, 11, 0, 0, 123456000, time.UTC),
		get(s, func(ctx context.Context, r store.Reader) (auth.Account, error) { return r.Account(ctx, "local") }).CreatedAt, "in UTC, to the microsecond")
}

func testBigDocuments(s *suite) {
	t := s.t
	s.account("a")
	p := definition.Pipeline{ID: "p", Account: "a", Name: "web"}
	for i := range 500 {
		p.Definition.Stages = append(p.Definition.Stages, pipeline.Stage{Name: fmt.Sprint(i), Actions: []pipeline.Action{
			{Name: "a", Commands: []string{strings.Repeat("x", 10000)}},
		}})
	}
	s.update(func(ctx context.Context, tx store.Tx) error { return tx.CreatePipeline(ctx, p) })
	require.Equal(t, p, get(s, pipelineNamed("a", "web")))
}
