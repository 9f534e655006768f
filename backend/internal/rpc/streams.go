package rpc

import (
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

const (
	// maxStreamsEach bounds the open streams of one caller over all connections, and so
	// what those take that are not read: about a log's chunk and a window each.
	maxStreamsEach = 500
	// stallTimeout is how long a client may take nothing of what waits for it: one that
	// reads at all takes something by then.
	stallTimeout = 5 * time.Minute
	// streamsRetry is when a caller with too many streams may find that some ended.
	streamsRetry = 10 * time.Second
)

// streamsOf counts the open streams of each caller, by the id of the token: the name in
// it is what an admin of any account chose. Its zero value has none.
type streamsOf struct {
	mu   sync.Mutex
	open map[string]int
}

// enter counts one more stream of a caller, until leave is called; or refuses it.
func (s *streamsOf) enter(token string) (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open == nil {
		s.open = make(map[string]int)
	}
	if s.open[token] >= maxStreamsEach {
		return nil, exhausted(streamsRetry, "as many watches and log tails are open with this token as one caller may have (500): end some first")
	}
	s.open[token]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.open[token]--; s.open[token] == 0 {
			delete(s.open, token)
		}
	}, nil
}

func exhausted(retry time.Duration, message string) error {
	return &service.Error{Kind: service.KindExhausted, Reason: pipeline.ReasonLimitExceeded, Message: message, RetryAfter: retry}
}

// send sends a message, unless the stream ends first or its client takes nothing for
// too long. A send that is given up ends with the stream, which the caller must end then.
func (s *gatedStream) send(m any) error {
	sent := make(chan error, 1)
	go func(inner grpc.ServerStream) { sent <- inner.SendMsg(m) }(s.ServerStream)
	stalled := time.NewTimer(s.call.gate.stall)
	defer stalled.Stop()
	select {
	case err := <-sent:
		return err
	case <-s.ctx.Done():
		return s.ctx.Err()
	case <-stalled.C:
		return exhausted(0, "the stream was ended since its client read nothing for "+s.call.gate.stall.String()+": read on from where it stopped")
	}
}
