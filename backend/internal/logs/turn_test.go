package logs_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
)

// turn writes one text as a turn of the action does.
func turn(t *testing.T, store *logs.Store, text string) {
	t.Helper()
	w := store.TurnWriter(attempt(1).Scope)
	write(t, w, text)
	require.NoError(t, w.Close())
}

func TestTurnsAppendToOneLog(t *testing.T) {
	t.Parallel()
	b := bucket(t, "file://"+t.TempDir())
	var want strings.Builder
	for i := range 50 {
		// Another server takes each turn.
		store := logs.New(b, logs.Config{})
		line := fmt.Sprintf("look %d\n", i)
		want.WriteString(line)
		turn(t, store, line)
		require.NoError(t, store.TurnWriter(attempt(1).Scope).Close(), "a turn that prints nothing")
		require.Equal(t, want.String(), read(t, store))
	}
	require.Len(t, objects(t, b), 1, "small turns share an object")

	long := strings.Repeat("0123456789abcde\n", 8<<10)
	turn(t, logs.New(b, logs.Config{}), long)
	turn(t, logs.New(b, logs.Config{}), "after\n")
	require.Equal(t, want.String()+long+"after\n", read(t, logs.New(b, logs.Config{})))
	require.Len(t, objects(t, b), 2, "what is large is not written again")
}

func TestTurnThatDied(t *testing.T) {
	t.Parallel()
	b := bucket(t, "file://"+t.TempDir())
	turn(t, logs.New(b, logs.Config{}), "first\n")
	dead := logs.New(b, logs.Config{}).TurnWriter(attempt(1).Scope)
	write(t, dead, "second, cut off\n")
	eventually(t, func() bool { return strings.Contains(read(t, logs.New(b, logs.Config{})), "cut off") })
	// It died. The turn is done again, and the dead one, which does not know it, writes on.
	turn(t, logs.New(b, logs.Config{}), "second\n")
	write(t, dead, "of a dead turn\n")
	require.NoError(t, dead.Close())
	turn(t, logs.New(b, logs.Config{}), "third\n")
	require.Equal(t, "first\nsecond, cut off\nsecond\nthird\n", read(t, logs.New(b, logs.Config{})))
}

func TestReaderWhoseChunkIsTakenOver(t *testing.T) {
	t.Parallel()
	b := bucket(t, "file://"+t.TempDir())
	turn(t, logs.New(b, logs.Config{}), "first\n")
	log, err := logs.New(b, logs.Config{}).Open(t.Context(), "e1", "a1")
	require.NoError(t, err)
	defer log.Close()
	turn(t, logs.New(b, logs.Config{}), "second\n")
	require.Equal(t, "first\nsecond\n", readFrom(t, log, 0))
}

func TestLimitOfTurns(t *testing.T) {
	t.Parallel()
	b := bucket(t, "file://"+t.TempDir())
	for range 5 {
		turn(t, logs.New(b, logs.Config{Limit: 10}), "12345678\n")
	}
	require.Equal(t, "12345678\n1\n--- the log reached its limit of 10 bytes; 8 more bytes were dropped ---\n", read(t, logs.New(b, logs.Config{})))
}
