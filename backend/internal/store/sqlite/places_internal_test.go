package sqlite

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPositional(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		query, text string
		places      places
	}{
		{"COMMIT", "COMMIT", nil},
		{"INSERT INTO t (a, b) VALUES ($1, $2)", "INSERT INTO t (a, b) VALUES (?, ?)", places{0, 1}},
		{"UPDATE t SET a = $2, b = $3 WHERE id = $1", "UPDATE t SET a = ?, b = ? WHERE id = ?", places{1, 2, 0}},
		{"$1 $2 $3 $4 $5 $6 $7 $8 $9 $10", "? ? ? ? ? ? ? ? ? ?", places{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{`SELECT '$1''$2', "$3" FROM t WHERE a = $1 AND b = ''`, `SELECT '$1''$2', "$3" FROM t WHERE a = ? AND b = ''`, places{0}},
		// What is not understood stays as it is.
		{"SELECT $1, $1", "SELECT $1, $1", nil},
		{"SELECT $1, $3", "SELECT $1, $3", nil},
		{"SELECT $0", "SELECT $0", nil},
		{"SELECT $name, $1", "SELECT $name, $1", nil},
		{"SELECT $1, 'open", "SELECT $1, 'open", nil},
	} {
		text, places := positional(c.query)
		require.Equal(t, c.text, text)
		require.Equal(t, c.places, places, c.query)
	}
}

func TestArgumentsTakeTheirPlaces(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Path: t.TempDir() + "/places.db"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	c := <-s.readers
	defer func() { s.readers <- c }()
	selected := func(query string, args ...any) (a, b string) {
		rows, err := c.Query(t.Context(), query, args...)
		require.NoError(t, err)
		require.True(t, rows.Next())
		require.NoError(t, rows.Scan(&a, &b))
		require.NoError(t, rows.Close())
		require.NoError(t, rows.Err())
		return a, b
	}
	for range 2 {
		a, b := selected("SELECT $2, $1", "first", "second")
		require.Equal(t, []string{"second", "first"}, []string{a, b})
		a, b = selected("SELECT $1, $1", "both")
		require.Equal(t, []string{"both", "both"}, []string{a, b})
	}
	_, err = c.exec(t.Context(), "CREATE TEMPORARY TABLE written (a TEXT, b TEXT)")
	require.NoError(t, err)
	for range 2 {
		affected, err := c.exec(t.Context(), "INSERT INTO written (a, b) VALUES ($2, $1)", "b", "a")
		require.NoError(t, err)
		require.EqualValues(t, 1, affected)
	}
	a, b := selected("SELECT a, b FROM written WHERE b = $2 AND a = $1 LIMIT 1", "a", "b")
	require.Equal(t, []string{"a", "b"}, []string{a, b})

	_, err = c.exec(t.Context(), "INSERT INTO written (a, b) VALUES ($1, $2)", "a")
	require.ErrorContains(t, err, "takes 2 arguments, got 1")
	_, err = c.Query(t.Context(), "SELECT $1", "a", "b")
	require.ErrorContains(t, err, "takes 1 arguments, got 2")
}
