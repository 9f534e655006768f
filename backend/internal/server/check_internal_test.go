package server

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestCompareClocks(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		newest, theirs time.Time
		place          string
		said, failed   string
	}{
		"one machine": {
			newest: now.Add(-time.Hour), theirs: now,
			said: "2026-12-01T12:00:00Z, not before the newest event in the database; no other clock to compare it with",
		},
		"no event, near the database's": {
			theirs: now.Add(30 * time.Second), place: "hr at db:5432",
			said: "2026-12-01T12:00:00Z, not before the newest event in the database, and within 1m0s of the clock of the database",
		},
		"behind an event": {
			newest: now.Add(2 * time.Minute), theirs: now,
			failed: "the clock says 2026-12-01T12:00:00Z, and the newest event in the database is 2m0s later",
		},
		"ahead": {
			newest: now.Add(-time.Hour), theirs: now.Add(-time.Hour), place: "hr at db:5432",
			failed: "which is 1h0m0s ahead of the clock of the database hr at db:5432: synchronize the clocks",
		},
		"behind": {
			newest: now, theirs: now.Add(61 * time.Second), place: "hr at db:5432",
			failed: "which is 1m1s behind the clock of the database hr at db:5432",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			said, err := compareClocks(now, test.newest, test.theirs, test.place)
			require.Equal(t, test.said, said)
			if test.failed != "" {
				require.ErrorContains(t, err, test.failed)
				return
			}
			require.NoError(t, err)
		})
	}
}
