package logs_test

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// database keeps small logs as a database does. It is a fake since logs must not depend on the
// store, whose own is in storetest.
type database struct {
	mu   sync.Mutex
	kept []action.SmallLog
}

func (d *database) SmallLogs(context.Context, string, string) ([]action.SmallLog, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.kept), nil
}

func (d *database) commit(l *action.SmallLog) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.kept = append(d.kept, *l)
}

func TestEachQuietActionLeavesNoObject(t *testing.T) {
	t.Parallel()
	for _, remote := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, d := &watched{Store: inBubble(t)}, &database{}
			config := logs.Config{Remote: remote, Small: d}
			store := logs.New(b, config)
			w := store.Writer(attempt(1))
			write(t, w, "one\n")
			<-time.After(50 * time.Millisecond)
			write(t, w, "two\n")
			small := w.Small()
			require.NotNil(t, small)
			require.Equal(t, "one\ntwo\n", read(t, store), "it can be read until the commit is known")
			d.commit(small)
			w.Kept()
			<-time.After(time.Minute)
			require.Empty(t, objects(t, b.Store))
			require.Zero(t, b.puts.Load())
			require.Equal(t, "one\ntwo\n", read(t, store))
			require.Equal(t, "one\ntwo\n", read(t, logs.New(b, config)), "in another process")
		})
	}
}

func TestLogIsNotSmall(t *testing.T) {
	t.Parallel()
	const most = 16 << 10
	for name, test := range map[string]struct {
		size  int
		took  time.Duration
		small bool
	}{
		"at the bound":      {most, 0, true},
		"above the bound":   {most + 1, 0, false},
		"ran long":          {3, 101 * time.Millisecond, false},
		"ended just before": {3, 99 * time.Millisecond, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b, d := inBubble(t), &database{}
				store := logs.New(b, logs.Config{Small: d})
				w := store.Writer(attempt(1))
				text := strings.Repeat("x", test.size)
				write(t, w, text)
				<-time.After(test.took)
				synctest.Wait()
				small := w.Small()
				require.Equal(t, test.small, small != nil)
				if small != nil {
					d.commit(small)
					w.Kept()
				} else {
					require.NoError(t, w.Close())
				}
				require.Equal(t, !test.small, len(objects(t, b)) > 0)
				require.Equal(t, text, read(t, logs.New(b, logs.Config{Small: d})))
			})
		})
	}
}

// The notice of the limit is part of a small log too.
func TestSmallLogAtTheLimit(t *testing.T) {
	t.Parallel()
	d := &database{}
	store := logs.New(bucket(t, "mem://"), logs.Config{Small: d, Limit: 10})
	w := store.Writer(attempt(1))
	write(t, w, "12345678901234\n")
	d.commit(w.Small())
	w.Kept()
	require.Equal(t, "1234567890\n--- the log reached its limit of 10 bytes; 5 more bytes were dropped ---\n", read(t, store))
}

// A result that did not count leaves its log where logs were before there were small ones.
func TestSmallLogOfARefusedResult(t *testing.T) {
	t.Parallel()
	b, d := bucket(t, "mem://"), &database{}
	w := logs.New(b, logs.Config{Small: d}).Writer(attempt(1))
	write(t, w, "abandoned\n")
	require.NotNil(t, w.Small())
	require.NoError(t, w.Close())
	require.Equal(t, "abandoned\n", read(t, logs.New(b, logs.Config{Small: d})))
}

func TestSmallLogsAreSealed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	require.NoError(t, seal.NewKeyFile(path))
	keys, _, err := seal.OpenFileKeys(path)
	require.NoError(t, err)
	b, d := bucket(t, "mem://"), &database{}
	sealed := logs.New(b, logs.Config{Small: d, Sealer: keys})
	w := sealed.Writer(attempt(1))
	write(t, w, "the word of the day\n")
	small := w.Small()
	require.NotContains(t, string(small.Data), "word")
	d.commit(small)
	w.Kept()
	require.Equal(t, "the word of the day\n", read(t, sealed))

	_, err = logs.New(b, logs.Config{Small: d}).Open(t.Context(), "e1", "a1")
	require.ErrorContains(t, err, "storage-key, which is not set")
	_, err = sealed.Open(t.Context(), "e1", "a2")
	require.ErrorIs(t, err, blob.ErrDamaged, "it is bound to its action")

	// One that was kept before the storage was encrypted stays as it is.
	d.kept = nil
	w = logs.New(b, logs.Config{Small: d}).Writer(attempt(1))
	write(t, w, "\x00headrace-sealed\x01 is what a hostile action prints\n")
	d.commit(w.Small())
	w.Kept()
	require.Equal(t, "\x00headrace-sealed\x01 is what a hostile action prints\n", read(t, sealed))
}

// mortal is the bucket of a process that may be killed, after which it puts nothing.
type mortal struct {
	*blob.Store
	dead atomic.Bool
}

func (m *mortal) Put(ctx context.Context, name string, from io.Reader) error {
	if m.dead.Load() {
		return nil
	}
	return m.Store.Put(ctx, name, from)
}

// Whatever attempts print, when they end and when their servers are killed: all readers see
// one log, in order and each byte once, and a kill costs no more than the flush delay.
func TestSmallAndLargeLogsAreOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shared := inBubble(t)
		// Without the deadline of t, which a bubble does not have.
		rapid.Check(struct{ rapid.TB }{t}, func(rt *rapid.T) {
			require.NoError(rt, shared.DeleteUnder(t.Context(), "e1"))
			d := &database{}
			elsewhere := func() string { return read(t, logs.New(shared, logs.Config{Small: d})) }
			var before string
			for number := range rapid.IntRange(1, 4).Draw(rt, "attempts") {
				process := &mortal{Store: shared}
				here := logs.New(process, logs.Config{Small: d})
				w := here.Writer(attempt(number + 1))
				text, safe := "", ""
				for range rapid.IntRange(0, 4).Draw(rt, "writes") {
					if text == "" && number > 0 {
						text = fmt.Sprintf("--- attempt %d ---\n", number+1)
					}
					piece := strings.Repeat("x", rapid.OneOf(rapid.IntRange(0, 100), rapid.IntRange(16<<10-50, 16<<10+50)).Draw(rt, "size")) + "\n"
					write(t, w, piece)
					text += piece
					if rapid.IntRange(0, 3).Draw(rt, "pause") == 0 {
						<-time.After(2 * time.Second)
						synctest.Wait()
						safe = text
					}
					require.Equal(rt, before+text, read(t, here))
					require.True(rt, strings.HasPrefix(before+text, elsewhere()))
				}
				killed := func() {
					process.dead.Store(true)
					found := elsewhere()
					require.True(rt, strings.HasPrefix(found, before+safe), "what was printed before the flush delay is kept")
					require.True(rt, strings.HasPrefix(before+text, found))
					before = found
				}
				if rapid.IntRange(0, 3).Draw(rt, "killed while it runs") == 0 {
					killed()
					continue
				}
				small := w.Small()
				if small == nil {
					require.NoError(rt, w.Close())
				}
				if rapid.Bool().Draw(rt, "the commit takes long") {
					<-time.After(2 * time.Second)
					synctest.Wait()
					safe = text
				}
				switch end := rapid.SampledFrom([]string{"kept", "refused", "killed before the commit", "killed after the commit"}).Draw(rt, "end"); {
				case small == nil:
				case end == "kept":
					d.commit(small)
					w.Kept()
				case end == "refused":
					require.NoError(rt, w.Close())
				case end == "killed before the commit":
					killed()
					continue
				default:
					d.commit(small)
					process.dead.Store(true)
				}
				before += text
				require.Equal(rt, before, elsewhere())
				if !process.dead.Load() {
					require.Equal(rt, before, read(t, here))
				}
			}
		})
	})
}
