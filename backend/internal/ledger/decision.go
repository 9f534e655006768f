package ledger

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
)

// Outcome is the kind of a decision.
type Outcome string

// The outcomes.
const (
	Started    Outcome = "STARTED"
	NotStarted Outcome = "NOT_STARTED"
	// Duplicate says that the same change had started an execution before.
	Duplicate Outcome = "DUPLICATE"
	Pending   Outcome = "PENDING"
	// Failed says that an execution should have started and was refused.
	Failed Outcome = "FAILED"
)

// Decision is what one trigger decided on one change or event.
type Decision struct {
	// ID ascends with time.
	ID           string
	Account      string
	Pipeline     string
	TriggerID    string
	DeliveryID   string
	RepositoryID string
	Ref          string
	ToCommit     string
	// Move is the number of the move that it is about, 0 while that is not known.
	Move    int64
	Outcome Outcome
	// StartKey is set if the decision started an execution or may still do so. No two
	// decisions have the same.
	StartKey string
	// Turn is the turn that ends a pending decision, empty for others.
	Turn      string
	DecidedAt time.Time
	DecisionDetails
}

// DecisionDetails is what is kept of a decision beside its keys.
type DecisionDetails struct {
	// Trigger is the resource name of the trigger, which may be gone.
	Trigger string `json:"trigger"`
	// Webhook is the name of the delivery's webhook.
	Webhook    string  `json:"webhook,omitempty"`
	Connection string  `json:"connection,omitempty"`
	Repository string  `json:"repository,omitempty"`
	FoundBy    FoundBy `json:"found_by,omitempty"`
	// ReplayedBy is who replayed the delivery, empty if nobody did.
	ReplayedBy string `json:"replayed_by,omitempty"`
	// Pusher is the user of the forge that caused the event, as Forge says. Both are empty if
	// a comparison with the remote found it.
	Pusher     string     `json:"pusher,omitempty"`
	Forge      forge.Kind `json:"forge,omitempty"`
	FromCommit string     `json:"from_commit,omitempty"`
	// Reason is machine-readable, Message a sentence.
	Reason  string         `json:"reason,omitempty"`
	Message string         `json:"message,omitempty"`
	Filters []FilterResult `json:"filters,omitempty"`
	// Execution is the id of the execution that was started, or that had been started for
	// the same change; Number is its number.
	Execution string `json:"execution,omitempty"`
	Number    int64  `json:"number,omitempty"`
	// PullRequest is 0 for none.
	PullRequest int64 `json:"pull_request,omitempty"`
	// Event is kept while the ledger has no move for a pending decision.
	Event *Event `json:"event,omitempty"`
	// Tries counts how often the remote could not be asked.
	Tries int `json:"tries,omitempty"`
}

// FilterResult is what one filter entry said.
type FilterResult struct {
	// Entry is its place, such as push[0].
	Entry   string `json:"entry"`
	Matched bool   `json:"matched,omitempty"`
	Message string `json:"message,omitempty"`
}
