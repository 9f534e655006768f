package trigger

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

// counting opens values that nobody sealed, and counts that.
type counting struct {
	calls int
	err   error
}

func (c *counting) Open(_ context.Context, sealed []byte, binding string) ([]byte, error) {
	c.calls++
	return append([]byte(binding+" "), sealed...), c.err
}

// A value stays opened for the webhook that it was sealed for, and an error is not kept.
func TestSecretIsOpenedOnce(t *testing.T) {
	t.Parallel()
	opener := &counting{err: errors.New("the storage does not answer")}
	opened := newOpened(opener)
	_, err := opened.open(t.Context(), []byte("one"), "a")
	require.ErrorIs(t, err, opener.err)
	opener.err = nil
	for range 3 {
		for _, of := range []struct{ sealed, binding string }{{"one", "a"}, {"one", "b"}, {"two", "a"}} {
			value, err := opened.open(t.Context(), []byte(of.sealed), of.binding)
			require.NoError(t, err)
			require.Equal(t, of.binding+" "+of.sealed, value)
		}
	}
	require.Equal(t, 1+3, opener.calls)
}
