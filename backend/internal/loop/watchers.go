package loop

import "sync"

// watchers notifies subscribers of changes of an execution.
type watchers struct {
	mu       sync.Mutex
	channels map[string]map[chan struct{}]struct{}
}

// anyExecution is the key of subscribers to all executions.
const anyExecution = ""

func newWatchers() *watchers {
	return &watchers{channels: make(map[string]map[chan struct{}]struct{})}
}

// watch returns a channel that gets a token, at most one at a time, whenever the
// execution changed. Stop ends it.
func (w *watchers) watch(executionID string) (changed <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.channels[executionID] == nil {
		w.channels[executionID] = make(map[chan struct{}]struct{})
	}
	w.channels[executionID][c] = struct{}{}
	return c, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.channels[executionID], c)
		if len(w.channels[executionID]) == 0 {
			delete(w.channels, executionID)
		}
	}
}

func (w *watchers) notify(executionID string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.send(executionID)
	w.send(anyExecution)
}

// notifyAll is for when it is not known what changed.
func (w *watchers) notifyAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for id := range w.channels {
		w.send(id)
	}
}

func (w *watchers) send(executionID string) {
	for c := range w.channels[executionID] {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}
