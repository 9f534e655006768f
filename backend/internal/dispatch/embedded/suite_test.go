package embedded_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/dispatchtest"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch/embedded"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

func TestQueue(t *testing.T) {
	t.Parallel()
	dispatchtest.Run(t, func(t *testing.T) dispatchtest.Bed {
		t.Helper()
		s, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		return dispatchtest.Bed{Store: s, Open: func(t *testing.T, workers int) dispatch.Queue {
			t.Helper()
			q := embedded.New(embedded.Config{Workers: workers, Clock: time.Now, Retry: dispatchtest.Retry, Log: hclog.NewNullLogger()})
			require.NoError(t, s.View(t.Context(), func(ctx context.Context, r store.Reader) error {
				turns, err := r.Turns(ctx)
				q.Add(turns...)
				return err
			}))
			return q
		}}
	})
}
