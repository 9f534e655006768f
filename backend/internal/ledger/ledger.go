// Package ledger holds what is known of refs of repositories, what tells of their moves and
// what was decided about them: repository, ref, move, webhook, delivery, trigger, decision.
// Its rules are pure. It must never do I/O or read a clock.
package ledger

import (
	"strconv"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// FoundBy says how a change was found.
type FoundBy string

// The ways in which a change is found.
const (
	ByWebhook  FoundBy = "WEBHOOK"
	ByPoll     FoundBy = "POLL"
	ByBackfill FoundBy = "BACKFILL"
	ByReplay   FoundBy = "REPLAY"
	// ByBaseline reads refs when a trigger is new. It starts nothing for that trigger.
	ByBaseline FoundBy = "BASELINE"
)

// Repository is a repository that triggers watch. One that no trigger watches any more is
// deleted with its refs.
type Repository struct {
	ID      string
	Account string
	// Connection is the name of the connection without what comes in front, or an OwnToken.
	Connection string
	// Name is forge.RepositoryKey of the forge's name.
	Name string
	// ForgeID is the forge's number, which renames keep; 0 while it is not known.
	ForgeID int64
	RepositoryDetails
	CreatedAt time.Time
}

// RepositoryDetails is what is kept of a repository beside its key.
type RepositoryDetails struct {
	// FullName is as the forge or the user writes it.
	FullName      string `json:"full_name,omitempty"`
	DefaultBranch string `json:"default_branch,omitempty"`
	// ObservedAt is when all refs were last read from the remote.
	ObservedAt time.Time `json:"observed_at,omitzero"`
	// Problem says why the newest read failed, with its time. Empty if it did not.
	Problem   string    `json:"problem,omitempty"`
	ProblemAt time.Time `json:"problem_at,omitzero"`
	// Failures counts the reads that failed since the last that did not.
	Failures int `json:"failures,omitempty"`
	// FailingSince is when the first of them was. Reported is set once they were reported.
	FailingSince time.Time `json:"failing_since,omitzero"`
	Reported     bool      `json:"reported,omitempty"`
}

// Ref is the newest head of a ref.
type Ref struct {
	RepositoryID string
	// Ref is whole, such as refs/heads/main.
	Ref string
	// Head is the commit that the ref leads to, empty after a deletion. Of an annotated tag
	// that is not what the ref holds: forges differ in which of both they tell.
	Head string
	// Move is the number of the newest move, 0 for a ref that was read before it moved.
	Move    int64
	SeenAt  time.Time
	FoundBy FoundBy
}

// Move is one change of a ref in the ledger.
type Move struct {
	RepositoryID string
	Ref          string
	// From and To are empty where the ref did not or does not exist.
	From, To string
	// Number counts the moves of the ref from 1.
	Number  int64
	FoundBy FoundBy
	// DeliveryID is empty if no delivery told of it.
	DeliveryID string
	At         time.Time
	Event      Event
}

// Event is what is known of a change beside its heads, as far as it was told.
type Event struct {
	// Commit is the commit that the ref leads to, empty if it was not told.
	Commit string `json:"commit,omitempty"`
	// Message is that of the commit. Told says whether it was told, and whole.
	Message string `json:"message,omitempty"`
	Told    bool   `json:"told,omitempty"`
	// Pusher is the user of the forge that caused it, as Forge says, which is the kind of the
	// webhook. Both are empty if a comparison with the remote found the change.
	Pusher string     `json:"pusher,omitempty"`
	Forge  forge.Kind `json:"forge,omitempty"`
	// Forced is set if the forge says that the push replaced commits.
	Forced bool `json:"forced,omitempty"`
	// SkipRequested is set if the push itself asks for no pipelines.
	SkipRequested bool               `json:"skip_requested,omitempty"`
	PullRequest   *forge.PullRequest `json:"pull_request,omitempty"`
}

// MaxMessage bounds the message of a commit that is kept.
const MaxMessage = 4096

// StartKey names what starts at most one execution of a trigger: a move of a ref.
func (m *Move) StartKey(triggerID string) string {
	return triggerID + " " + m.RepositoryID + " " + m.Ref + " " + strconv.FormatInt(m.Number, 10)
}

// Change is the relation of a signal to the ledger.
type Change int

const (
	// Moves says that the signal continues the ledger, which moves by it.
	Moves Change = iota + 1
	// Repeats says that the ledger has the head of the signal.
	Repeats
	// Unclear says that only the remote knows: the signal does not start at the ledger's
	// head, or the ledger made the same move before.
	Unclear
)

// Compare says what a signal is that tells of a move from one head to another. Known is
// whether the ledger has the ref, and made whether it recorded a move between these heads.
func Compare(ref Ref, known, made bool, from, to string) Change {
	switch {
	case !known:
		return Moves
	case ref.Head == to:
		return Repeats
	case ref.Head == from && !made:
		return Moves
	default:
		return Unclear
	}
}
