package engine_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
)

// Every retry leaves rows in the execution, so that there is an end to it.
func TestRetriesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, define("A: a"))
	w.start("ann", nil)
	require.NoError(t, w.step("fail 1 a"))
	for range engine.MaxRetries {
		require.NoError(t, w.step("retry 1"))
		require.NoError(t, w.step("fail 1 a"))
	}
	require.ErrorIs(t, w.step("retry 1"), engine.ErrNotRetryable)
}
