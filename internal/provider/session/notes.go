package session

import (
	"context"
	"slices"
	"sync"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
)

// Part is a stage of a pipeline, or an action of it.
type Part struct {
	Pipeline, Stage, Action string
}

// notes are what resources of one run of Terraform tell each other. Terraform walks
// resources that do not refer to each other in any order, so that a note may be missing.
type notes struct {
	mu sync.Mutex
	// planned are the parts that this run plans, written the composed pipelines that it has
	// written parts of; both by account.
	planned map[string][]Part
	written map[string][]string
	told    map[string]bool
}

// NotePlanned remembers parts of a pipeline that are planned to exist.
func (s *Session) NotePlanned(account string, parts ...Part) {
	if s == nil {
		return
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if s.notes.planned == nil {
		s.notes.planned = make(map[string][]Part)
	}
	s.notes.planned[account] = append(s.notes.planned[account], parts...)
}

// Planned returns the parts that are planned to exist in an account, as far as known.
func (s *Session) Planned(account string) []Part {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return slices.Clone(s.notes.planned[account])
}

// NoteWritten remembers that a composed pipeline or a part of it was written: others may
// follow, and until then it is not what was declared.
func (s *Session) NoteWritten(account, pipeline string) {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if s.notes.written == nil {
		s.notes.written = make(map[string][]string)
	}
	s.notes.written[account] = append(s.notes.written[account], pipeline)
}

// Written returns the composed pipelines of an account that were written.
func (s *Session) Written(account string) []string {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return slices.Clone(s.notes.written[account])
}

// Tell reports whether a message is new in this run. A rule and its pipeline get the same
// warnings, and an apply plans each object again before it writes it.
func (s *Session) Tell(message string) bool {
	if s == nil {
		return true
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	if s.notes.told == nil {
		s.notes.told = make(map[string]bool)
	}
	if s.notes.told[message] {
		return false
	}
	s.notes.told[message] = true
	return true
}

// Ask calls the server while a plan is made. A plan needs no server: one that does not
// answer is not asked again, and then false is returned.
func (s *Session) Ask(ctx context.Context, call func(context.Context, *client.Client) error) (asked bool, err error) {
	if s == nil || s.config.Client == nil || s.silent.Load() {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, supportTimeout)
	defer cancel()
	err = call(ctx, s.config.Client)
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded:
		s.silent.Store(true)
		return false, nil
	default:
		return true, err
	}
}
