package service

import (
	"errors"
	"testing"
	"time"
)

// SetSearchTime lets a search go on for less than a minute. It is called before any.
func (x *Streams) SetSearchTime(d time.Duration) { x.searchTime = d }

// SetHeartbeat lets watches send patches without changes more often. It is called before any.
func (x *Streams) SetHeartbeat(d time.Duration) { x.heartbeat = d }

// HoldSearches takes all slots of searches until release is called.
func (x *Streams) HoldSearches(t *testing.T) (release func()) {
	t.Helper()
	var ends []func()
	for range searchesAtOnce {
		end, err := x.searches.begin(t.Context(), x.stopping, "somebody", "else")
		if err != nil {
			t.Fatal(errors.New("all slots are held already"), err)
		}
		ends = append(ends, end)
	}
	return func() {
		for _, end := range ends {
			end()
		}
	}
}

// WaitingSearches returns how many searches wait for a slot.
func (x *Streams) WaitingSearches() int {
	x.searches.mu.Lock()
	defer x.searches.mu.Unlock()
	return len(x.searches.waiting)
}
