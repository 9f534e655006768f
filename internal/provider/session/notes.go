package session

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
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
	// inline are the pipelines of which this run plans every part, by account.
	inline map[string][]string
	// rules are the approval rules that this run plans, by resource name.
	rules map[string]Rule
	// secrets are those that this run plans to exist, by resource name.
	secrets map[string]bool
	// changes are the objects that this run creates or changes, by resource name.
	changes map[string]bool
	told    map[string]bool
	// applying tells that this run has begun to write.
	applying bool
	// changed is closed with the next note, deadlines are when a wait for something ends.
	changed   chan struct{}
	deadlines map[string]time.Time
	waiting   int
}

// Rule is an approval rule as a run finds it and as it leaves it.
type Rule struct {
	// Before and After are its selectors, nil while the rule does not exist. After is nil also
	// if it is not known yet.
	Before, After *headracev1.ApprovalSelector
}

// note changes the notes and wakes up the waits.
func (n *notes) note(change func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	change()
	if n.changed != nil {
		close(n.changed)
		n.changed = nil
	}
}

// next returns a channel that is closed with the next note.
func (n *notes) next() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.changed == nil {
		n.changed = make(chan struct{})
	}
	return n.changed
}

const (
	// patience is how long a warning waits for a note that would make it untrue.
	patience = time.Second
	// maxWaiting leaves Terraform, which plans ten resources at a time, room to get on.
	maxWaiting = 8
)

// start begins a wait for something and returns how long it may take. Waits for the same
// thing end at the same time.
func (n *notes) start(what string) (left time.Duration, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	deadline, begun := n.deadlines[what]
	if !begun {
		deadline = time.Now().Add(patience)
	}
	left = time.Until(deadline)
	if left > 0 && n.waiting >= maxWaiting {
		return 0, false
	}
	if n.deadlines == nil {
		n.deadlines = make(map[string]time.Time)
	}
	n.deadlines[what] = deadline
	n.waiting++
	return left, true
}

func (n *notes) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waiting--
}

// Await waits until the notes settle a question about what the run may still plan. It
// returns false if that stays open because too many others wait.
func (s *Session) Await(ctx context.Context, what string, settled func() bool) bool {
	if s == nil || settled() {
		return true
	}
	left, ok := s.notes.start(what)
	if !ok {
		return false
	}
	defer s.notes.stop()
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	for {
		next := s.notes.next()
		if settled() {
			return true
		}
		select {
		case <-next:
		case <-ctx.Done():
			return true
		}
	}
}

// NoteApplying remembers that this run writes. From then on warnings come from the writes.
func (s *Session) NoteApplying() {
	s.notes.note(func() { s.notes.applying = true })
}

// Applying tells whether this run has begun to write.
func (s *Session) Applying() bool {
	if s == nil {
		return false
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return s.notes.applying
}

// NoteRule remembers an approval rule that this run plans, changed or not.
func (s *Session) NoteRule(name string, rule Rule) {
	if s == nil {
		return
	}
	s.notes.note(func() {
		if s.notes.rules == nil {
			s.notes.rules = make(map[string]Rule)
		}
		s.notes.rules[name] = rule
	})
}

// Rule returns an approval rule if this run plans it.
func (s *Session) Rule(name string) (Rule, bool) {
	if s == nil {
		return Rule{}, false
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	rule, found := s.notes.rules[name]
	return rule, found
}

// NoteSecret remembers a secret that this run plans to exist.
func (s *Session) NoteSecret(name string) {
	if s == nil {
		return
	}
	s.notes.note(func() {
		if s.notes.secrets == nil {
			s.notes.secrets = make(map[string]bool)
		}
		s.notes.secrets[name] = true
	})
}

// secret tells whether this run plans a secret to exist.
func (s *Session) secret(name string) bool {
	if s == nil {
		return false
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return s.notes.secrets[name]
}

// NoteChange remembers an object that this run plans to create or change.
func (s *Session) NoteChange(name string) {
	if s == nil {
		return
	}
	s.notes.note(func() {
		if s.notes.changes == nil {
			s.notes.changes = make(map[string]bool)
		}
		s.notes.changes[name] = true
	})
}

// Changes tells whether this run plans to create or change an object or a part of it, as far as
// known. What a server says of an object that depends on it may not be true after the apply.
func (s *Session) Changes(name string) bool {
	if s == nil {
		return false
	}
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	for changed := range s.notes.changes {
		if changed == name || strings.HasPrefix(changed, name+"/") {
			return true
		}
	}
	return false
}

// NoteInline remembers a pipeline whose parts are all planned.
func (s *Session) NoteInline(account, pipeline string, parts ...Part) {
	if s == nil {
		return
	}
	s.NotePlanned(account, parts...)
	s.notes.note(func() {
		if s.notes.inline == nil {
			s.notes.inline = make(map[string][]string)
		}
		s.notes.inline[account] = append(s.notes.inline[account], pipeline)
	})
}

// Inline returns the pipelines of an account whose parts are all planned.
func (s *Session) Inline(account string) []string {
	s.notes.mu.Lock()
	defer s.notes.mu.Unlock()
	return slices.Clone(s.notes.inline[account])
}

// NotePlanned remembers parts of a pipeline that are planned to exist.
func (s *Session) NotePlanned(account string, parts ...Part) {
	if s == nil {
		return
	}
	s.notes.note(func() {
		if s.notes.planned == nil {
			s.notes.planned = make(map[string][]Part)
		}
		s.notes.planned[account] = append(s.notes.planned[account], parts...)
	})
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
	s.notes.note(func() {
		if s.notes.written == nil {
			s.notes.written = make(map[string][]string)
		}
		s.notes.written[account] = append(s.notes.written[account], pipeline)
		s.notes.applying = true
	})
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
