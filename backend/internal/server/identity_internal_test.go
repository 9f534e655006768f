package server

import (
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

// newPair pairs a database with a storage, which are made where they are missing.
func newPair(t *testing.T, st store.Store, storage string) *pair {
	t.Helper()
	bucket, err := blob.OpenBucket(t.Context(), blob.DirectoryURL(storage))
	require.NoError(t, err)
	return &pair{store: st, bucket: bucket, database: "the database", storage: storage}
}

func newStore(t *testing.T) store.Store {
	t.Helper()
	st, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	return st
}

// claims has every pair claim at once and returns their errors.
func claims(t *testing.T, pairs []*pair) []error {
	t.Helper()
	errs := make([]error, len(pairs))
	var group sync.WaitGroup
	for i, p := range pairs {
		group.Go(func() { errs[i] = p.claim(t.Context()) })
	}
	group.Wait()
	return errs
}

func TestFirstStartsAtTheSameTimeAgree(t *testing.T) {
	t.Parallel()
	st, dir := newStore(t), t.TempDir()
	pairs := make([]*pair, 8)
	for i := range pairs {
		pairs[i] = newPair(t, st, dir)
	}
	for _, err := range claims(t, pairs) {
		require.NoError(t, err)
	}
	require.NoError(t, newPair(t, st, dir).claim(t.Context()))
}

// One of the storages becomes the database's, and who was started on another hears it.
func TestFirstStartsOnSeveralStorages(t *testing.T) {
	t.Parallel()
	st, dir := newStore(t), t.TempDir()
	pairs := make([]*pair, 8)
	for i := range pairs {
		pairs[i] = newPair(t, st, filepath.Join(dir, strconv.Itoa(i)))
	}
	right := 0
	for i, err := range claims(t, pairs) {
		require.Equal(t, err == nil, pairs[i].check(t.Context()) == nil)
		if err == nil {
			right++
			continue
		}
		require.ErrorIs(t, err, errOtherStorage)
		require.ErrorContains(t, err, pairs[i].storage)
	}
	require.Equal(t, 1, right)
}

// A first start that was killed between its writes locks nobody out.
func TestFirstStartThatWasCutOff(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]func(t *testing.T, p *pair){
		"before the storage": func(t *testing.T, p *pair) {
			t.Helper()
			_, err := p.ensureIdentity(t.Context(), store.DatabaseIdentity, "own")
			require.NoError(t, err)
		},
		"before the database knows it": func(t *testing.T, p *pair) {
			t.Helper()
			own, err := p.ensureIdentity(t.Context(), store.DatabaseIdentity, "own")
			require.NoError(t, err)
			part, err := p.bucket.Part(identityPart)
			require.NoError(t, err)
			require.NoError(t, part.PutNew(t.Context(), identityObject, (&identity{Storage: "storage", Database: own}).object()))
		},
		"an adoption before the database knows it": func(t *testing.T, p *pair) {
			t.Helper()
			require.NoError(t, p.claim(t.Context()))
			part, err := p.bucket.Part(identityPart)
			require.NoError(t, err)
			require.NoError(t, part.Put(t.Context(), identityObject, (&identity{Storage: "other", Database: "own"}).object()))
			require.ErrorIs(t, p.claim(t.Context()), errOtherStorage)
			require.NoError(t, p.adopt(t.Context()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, dir := newStore(t), t.TempDir()
			p := newPair(t, st, dir)
			cut(t, p)
			require.NoError(t, p.claim(t.Context()))
			require.NoError(t, newPair(t, st, dir).claim(t.Context()))
			require.ErrorContains(t, newPair(t, newStore(t), dir).claim(t.Context()), "is of another database")
		})
	}
}

func TestIdentityThatIsNone(t *testing.T) {
	t.Parallel()
	p := newPair(t, newStore(t), t.TempDir())
	part, err := p.bucket.Part(identityPart)
	require.NoError(t, err)
	for _, text := range []string{"", "{}", "half"} {
		require.NoError(t, part.Put(t.Context(), identityObject, strings.NewReader(text)))
		err := p.claim(t.Context())
		require.ErrorIs(t, err, errOtherStorage)
		require.ErrorContains(t, err, "is not what a server wrote there")
	}
}
