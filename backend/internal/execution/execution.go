// Package execution holds the records of a run: execution, stage, action,
// approval, event and the work that a decision makes. It has no logic beyond
// reading itself; the engine decides, the store keeps.
package execution

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Execution is one run of a pipeline version. Zero times mean "not yet".
type Execution struct {
	ID         string
	Account    string
	PipelineID string
	Pipeline   string
	// Number counts the executions of a pipeline from 1.
	Number    int64
	Version   int64
	Mode      pipeline.ExecutionMode
	Status    pipeline.Status
	Summary   string
	Trigger   Trigger
	Variables map[string]string
	Revisions []SourceRevision
	Stop      *Stop
	StartedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time
	// Stages are those reached so far, in order; only the last can be live.
	Stages []*Stage
}

// Scope returns the key of the scope that decides about the execution.
func (e *Execution) Scope() ScopeKey {
	if e.Mode == pipeline.Parallel {
		return ScopeKey{PipelineID: e.PipelineID, ExecutionID: e.ID}
	}
	return ScopeKey{PipelineID: e.PipelineID}
}

// Current returns the stage that the execution is in or waits for, or nil
// before the first.
func (e *Execution) Current() *Stage {
	if len(e.Stages) == 0 {
		return nil
	}
	return e.Stages[len(e.Stages)-1]
}

// ScopeKey names what one decision looks at and changes: all live executions of
// a pipeline that meet each other, or a single PARALLEL execution.
type ScopeKey struct {
	PipelineID string
	// ExecutionID is set for a PARALLEL execution.
	ExecutionID string
}

// Trigger is what started an execution.
type Trigger struct {
	Type      string `json:"type"`
	Detail    string `json:"detail,omitempty"`
	Principal string `json:"principal,omitempty"`
}

// TriggerStart is CodePipeline's trigger type of a start by a person or client.
const TriggerStart = "StartPipelineExecution"

// SourceRevision is what a source action of the execution fetched.
type SourceRevision struct {
	Action string `json:"action"`
	action.Revision
}

// Stop is the request to stop an execution.
type Stop struct {
	Principal string    `json:"principal"`
	Reason    string    `json:"reason,omitempty"`
	Abandon   bool      `json:"abandon,omitempty"`
	At        time.Time `json:"at"`
}

// Stage is one stage of an execution.
type Stage struct {
	// Position is the place of the stage in the definition, from 0.
	Position int
	Name     string
	Status   pipeline.Status
	// Arrival orders the executions that wait for a stage, first come first served.
	Arrival   int64
	ArrivedAt time.Time
	// StartedAt is zero while the execution waits in front of the stage.
	StartedAt time.Time
	EndedAt   time.Time
	// Entry guards the stage where an approval rule asks for it.
	Entry   *Approval
	Actions []*Action
}

// Entered tells whether the execution is or was inside the stage.
func (s *Stage) Entered() bool { return !s.StartedAt.IsZero() }

// Live tells whether the execution is inside the stage now and so holds it.
func (s *Stage) Live() bool { return s.Entered() && !s.Status.Terminal() }

// Waiting tells whether the execution waits in front of the stage.
func (s *Stage) Waiting() bool { return !s.Entered() && !s.Status.Terminal() }

// Action is one action of a stage execution.
type Action struct {
	ID        string
	Stage     int // position of the stage
	Name      string
	Category  pipeline.Category
	Provider  string
	Work      pipeline.Work
	RunOrder  int
	Namespace string
	// Attempt is the number of the newest attempt, from 1.
	Attempt   int
	Status    pipeline.Status
	StartedAt time.Time
	EndedAt   time.Time
	Details   ActionDetails
}

// ActionDetails is what is kept of an action beside its status.
type ActionDetails struct {
	Summary       string            `json:"summary,omitempty"`
	Failure       *action.Failure   `json:"failure,omitempty"`
	Configuration map[string]string `json:"configuration,omitempty"`
	Variables     map[string]string `json:"variables,omitempty"`
	Inputs        []action.Artifact `json:"inputs,omitempty"`
	Outputs       []action.Artifact `json:"outputs,omitempty"`
	ExternalID    string            `json:"external_id,omitempty"`
	ExternalURL   string            `json:"external_url,omitempty"`
	Approval      *Approval         `json:"approval,omitempty"`
}

// Approval is a wait for people.
type Approval struct {
	// Requirements are the rules as they were when the wait began; all must be met.
	Requirements []Requirement `json:"requirements"`
	Decisions    []Verdict     `json:"decisions,omitempty"`
	ExpiresAt    time.Time     `json:"expires_at"`
}

// Requirement is one approval rule as it was when the wait began.
type Requirement struct {
	// Rule is empty for the default of one approver when no rule matches.
	Rule           string        `json:"rule,omitempty"`
	MinimumCount   int           `json:"minimum_count"`
	Users          []string      `json:"users,omitempty"`
	Groups         []string      `json:"groups,omitempty"`
	RequireComment bool          `json:"require_comment,omitempty"`
	AllowStarter   bool          `json:"allow_starter,omitempty"`
	ExpireAfter    time.Duration `json:"expire_after,omitempty"`
}

// Verdict is one person's approval or rejection, with what it was about.
type Verdict struct {
	Principal string            `json:"principal"`
	Groups    []string          `json:"groups,omitempty"`
	Approved  bool              `json:"approved"`
	Comment   string            `json:"comment,omitempty"`
	At        time.Time         `json:"at"`
	Version   int64             `json:"version"`
	Artifacts []action.Artifact `json:"artifacts,omitempty"`
}

// Subject is the part of an execution that an event is about.
type Subject string

// The subjects of events.
const (
	SubjectExecution Subject = "execution"
	SubjectStage     Subject = "stage"
	SubjectAction    Subject = "action"
)

// The states of events: CodePipeline's, and three of ours for what it has no
// event for.
const (
	EventStarted    = "STARTED"
	EventSucceeded  = "SUCCEEDED"
	EventFailed     = "FAILED"
	EventStopping   = "STOPPING"
	EventStopped    = "STOPPED"
	EventSuperseded = "SUPERSEDED"
	EventAbandoned  = "ABANDONED"
	EventApproved   = "APPROVED"
	EventRejected   = "REJECTED"
	EventLost       = "LOST"
)

// Event is one change of state.
type Event struct {
	// Position is given by the store, ascending.
	Position          int64
	At                time.Time
	ExecutionID       string
	Subject           Subject
	State             string
	Stage             string
	Action            string
	ActionExecutionID string
	Attempt           int
	Principal         string
	Message           string
}

// Lease is an attempt that waits for a runner or is held by one.
type Lease struct {
	Attempt action.Attempt
	Scope   ScopeKey
	// Runner is empty while nobody took the attempt.
	Runner   string
	Until    time.Time
	QueuedAt time.Time
}

// TurnKind says what a turn does.
type TurnKind string

const (
	// TurnAction runs the turn executor of an action.
	TurnAction TurnKind = "action"
	// TurnExpire fails an approval that nobody decided in time.
	TurnExpire TurnKind = "expire"
)

// Turn is short work that is due at a time.
type Turn struct {
	// ID is the action execution's, or "execution id/stage position" for the
	// approval of a stage's entry: at most one turn is pending for each.
	ID          string
	Kind        TurnKind
	Scope       ScopeKey
	ExecutionID string
	DueAt       time.Time
	// Work is set for TurnAction.
	Work *action.Turn
}

// Change is all that one decision writes, in one transaction.
type Change struct {
	// Started are new executions; Updated ones existed before.
	Started []*Execution
	Updated []*Execution
	// NewStages to Actions are rows of live executions.
	NewStages  []StageOf
	Stages     []StageOf
	NewActions []ActionOf
	Actions    []ActionOf
	Events     []Event
	// Leases are new attempts; DoneAttempts are action execution ids whose
	// attempt is over.
	Leases       []*Lease
	DoneAttempts []string
	Turns        []*Turn
	DoneTurns    []string
}

// StageOf is a stage with the execution that it belongs to.
type StageOf struct {
	ExecutionID string
	*Stage
}

// ActionOf is an action with the execution that it belongs to.
type ActionOf struct {
	ExecutionID string
	*Action
}
