package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// Listen listens on a store for as long as the test runs and returns what it hears.
func Listen(t *testing.T, s store.Store) <-chan store.Notice {
	t.Helper()
	heard, done := make(chan store.Notice, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { done <- s.Listen(ctx, func(n store.Notice) { heard <- n }) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-done)
	})
	return heard
}

// Hear waits for the next that is heard.
func Hear(t *testing.T, heard <-chan store.Notice) store.Notice {
	t.Helper()
	select {
	case n := <-heard:
		return n
	case <-time.After(time.Minute):
		require.Fail(t, "nothing is heard")
		return store.Notice{}
	}
}

// Other processes hear what changed, whether there is work, and what is over; a commit
// of more than can be told is made, and they learn that they missed it.
func testListenHearsOthers(s *suite) {
	t := s.t
	other := s.opener(t)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	heard := Listen(t, other)
	require.Equal(t, store.Notice{Missed: true}, Hear(t, heard), "until here nothing was heard")
	c := s.running()
	require.Equal(t, store.Notice{Executions: []string{"e1"}}, Hear(t, heard), "somebody holds its attempt already")

	again := *c.Leases[0]
	again.Runner = ""
	s.apply(&execution.Change{DoneAttempts: []string{"e1-0-0"}, Leases: []*execution.Lease{&again}})
	require.Equal(t, store.Notice{Ready: true}, Hear(t, heard), "one that is tried again is not over")
	s.apply(&execution.Change{DoneAttempts: []string{"e1-0-0"}})
	require.Equal(t, store.Notice{Ended: []string{"e1-0-0"}}, Hear(t, heard))

	many := &execution.Change{}
	for i := range 1000 {
		many.DoneAttempts = append(many.DoneAttempts, fmt.Sprintf("attempt %d", i))
	}
	s.apply(many)
	require.Equal(t, store.Notice{Missed: true}, Hear(t, heard))
	s.apply(&execution.Change{Events: []execution.Event{{ExecutionID: "e1", At: day(), Subject: execution.SubjectStage}}})
	require.Equal(t, store.Notice{Executions: []string{"e1"}}, Hear(t, heard))
	require.NoError(t, other.View(context.Background(), func(ctx context.Context, r store.Reader) error {
		events, err := r.Events(ctx, "e1", 0, 10)
		if err == nil && len(events) != 3 {
			err = errors.New("what was told is not there")
		}
		return err
	}))
}

// A server that stops ends what listens, and nothing fails for it.
func testListenEndsWithItsContext(s *suite) {
	t := s.t
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.store.Listen(ctx, func(store.Notice) {}) }()
	s.account("a")
	cancel()
	require.NoError(t, <-done)
	require.Equal(t, []string{"a"}, s.accounts())
}
