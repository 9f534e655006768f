package service

import (
	"context"
	"sync"
)

// boards are those that streams show now, one for each account: however many streams show an
// account, a server reads it once.
type boards struct {
	config ExecutionsConfig
	known  *knownShapes

	mu   sync.Mutex
	open map[string]*board
}

func newBoards(config ExecutionsConfig) *boards {
	return &boards{config: config, known: newKnownShapes(), open: make(map[string]*board)}
}

// join returns the board of an account, which shows what the watch asks for until leave.
func (s *boards) join(account string, watch *AccountWatch) *board {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.open[account]
	if b == nil || b.failed() {
		b = startBoard(s.config, s.known, account)
		s.open[account] = b
	}
	b.streams++
	b.show(watch)
	return b
}

// leave ends the board with its last stream, and waits until it has ended.
func (s *boards) leave(b *board, watch *AccountWatch) {
	b.hide(watch)
	s.mu.Lock()
	b.streams--
	last := b.streams == 0
	if last && s.open[b.account] == b {
		delete(s.open, b.account)
	}
	s.mu.Unlock()
	if last {
		b.end()
	}
}

// startBoard returns a board that a lookout keeps up to date until end.
func startBoard(config ExecutionsConfig, known *knownShapes, account string) *board {
	ctx, cancel := context.WithCancel(context.Background())
	b := newBoard(account, cancel)
	go func() {
		defer close(b.ended)
		newLookout(config, known, b).run(ctx)
	}()
	return b
}
