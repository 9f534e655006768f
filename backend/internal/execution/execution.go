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
	Number  int64
	Version int64
	Mode    pipeline.ExecutionMode
	Type    pipeline.ExecutionType
	// Attempt is 1, and one more after each retry or override that brought the
	// execution back after its end: CodePipeline's pipeline-execution-attempt.
	Attempt   int
	Status    pipeline.Status
	Summary   string
	Trigger   Trigger
	Variables map[string]string
	// Overrides are the source revisions that were asked for at the start.
	Overrides []pipeline.Override
	Revisions []SourceRevision
	// Rollback is set for the type ROLLBACK.
	Rollback *Rollback
	Stop     *Stop
	// Cancel is set once a newer version cancels the execution.
	Cancel    *Cancel
	StartedAt time.Time
	UpdatedAt time.Time
	EndedAt   time.Time
	// OutputsRemovedAt is when retention removed the logs of the execution and let go
	// of its artifacts. It is not run again then.
	OutputsRemovedAt time.Time
	// Stages are those reached so far, in order; only the last can be live. A
	// rollback has the stage that it rolls back, and no other.
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

// Starter returns who counts as the starter where approvals exclude the starter: who started
// the execution, and who replayed the delivery that did, empty if nobody did. An automatic
// rollback has no starter of its own: those of the execution that failed count.
func (e *Execution) Starter() (principal, replayedBy string) {
	if e.Trigger.Type == TriggerAutomatedRollback && e.Rollback != nil {
		return e.Rollback.FailedPrincipal, e.Rollback.FailedReplayedBy
	}
	return e.Trigger.Principal, e.Trigger.ReplayedBy
}

// TriggerPrincipal begins the principal of an execution that a trigger starts.
const TriggerPrincipal = "trigger:"

// ScopeKey names what one decision looks at and changes: all live executions of
// a pipeline that meet each other, or a single PARALLEL execution.
type ScopeKey struct {
	PipelineID string
	// ExecutionID is set for a PARALLEL execution.
	ExecutionID string
}

// Trigger is what started an execution.
type Trigger struct {
	Type      TriggerType `json:"type"`
	Detail    string      `json:"detail,omitempty"`
	Principal string      `json:"principal,omitempty"`
	// Name is the resource name of the trigger. It is empty, like all that follows, for
	// other starts.
	Name string `json:"name,omitempty"`
	// Ref is whole, such as refs/heads/main. It moved from a commit to another one; From is
	// empty for a new ref. All three are empty for events of generic webhooks.
	Ref  string `json:"ref,omitempty"`
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Repository is as the forge names it. Forced is set if the forge says that the push
	// replaced commits.
	Repository string `json:"repository,omitempty"`
	Forced     bool   `json:"forced,omitempty"`
	// Pusher is the user of the forge that caused the event, as Forge says, which is the name
	// of the forge. It is not a principal.
	Pusher string `json:"pusher,omitempty"`
	Forge  string `json:"forge,omitempty"`
	// Delivery is the resource name of the delivery that told of the change, empty if none
	// did.
	Delivery string `json:"delivery,omitempty"`
	// ReplayedBy is who replayed the delivery, empty if nobody did.
	ReplayedBy string `json:"replayed_by,omitempty"`
	// Decision is the id of the decision that started the execution.
	Decision    string             `json:"decision,omitempty"`
	PullRequest *TriggeringRequest `json:"pull_request,omitempty"`
}

// TriggeringRequest is the pull request that started an execution.
type TriggeringRequest struct {
	Number int64 `json:"number"`
	// Event is OPEN, UPDATED or CLOSED.
	Event             string `json:"event"`
	Title             string `json:"title,omitempty"`
	Author            string `json:"author,omitempty"`
	URL               string `json:"url,omitempty"`
	SourceBranch      string `json:"source_branch,omitempty"`
	DestinationBranch string `json:"destination_branch,omitempty"`
	Merged            bool   `json:"merged,omitempty"`
}

// TriggerType says which kind of cause started an execution, as CodePipeline names it.
type TriggerType string

// The trigger types.
const (
	// TriggerStart is a start by a person or client.
	TriggerStart TriggerType = "StartPipelineExecution"
	// TriggerManualRollback and TriggerAutomatedRollback start a rollback; their
	// detail is the id of the execution that is rolled back to.
	TriggerManualRollback    TriggerType = "ManualRollback"
	TriggerAutomatedRollback TriggerType = "AutomatedRollback"
	// TriggerWebhookV2 is a delivery to the webhook of a connection, TriggerWebhook one to a
	// generic webhook, and TriggerPoll a change that was found by comparing with the remote.
	TriggerWebhookV2 TriggerType = "WebhookV2"
	TriggerWebhook   TriggerType = "Webhook"
	TriggerPoll      TriggerType = "PollForSourceChanges"
)

// Rollback says what a rollback goes back to.
type Rollback struct {
	TargetID     string `json:"target_id"`
	TargetNumber int64  `json:"target_number"`
	// TargetVersion is 0 for rollbacks that an older server started.
	TargetVersion int64 `json:"target_version,omitempty"`
	// FailedID and FailedNumber are the execution whose failure started an automatic
	// rollback.
	FailedID     string `json:"failed_id,omitempty"`
	FailedNumber int64  `json:"failed_number,omitempty"`
	// FailedPrincipal is who started that execution. It is empty for rollbacks that an
	// older server started. FailedReplayedBy is who replayed the delivery that did.
	FailedPrincipal  string `json:"failed_principal,omitempty"`
	FailedReplayedBy string `json:"failed_replayed_by,omitempty"`
	// Artifacts and Variables are what the stages of the target before the one that
	// is rolled back had left, variables by namespace.
	Artifacts []action.Artifact            `json:"artifacts,omitempty"`
	Variables map[string]map[string]string `json:"variables,omitempty"`
}

// Cancel is what became of an execution by the publication of a version.
type Cancel struct {
	Principal string    `json:"principal"`
	Version   int64     `json:"version"`
	At        time.Time `json:"at"`
}

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

// Phase is where an execution is inside of a stage. The empty phase is that before
// it is entered.
type Phase string

// The phases of a stage, in their order.
const (
	// PhaseApproval waits for the approval of the entry.
	PhaseApproval Phase = "approval"
	// PhaseBeforeEntry checks the condition of that name.
	PhaseBeforeEntry Phase = "before_entry"
	// PhaseActions runs the actions.
	PhaseActions Phase = "actions"
	// PhaseOnSuccess and PhaseOnFailure check the conditions of those names.
	PhaseOnSuccess Phase = "on_success"
	PhaseOnFailure Phase = "on_failure"
)

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
	Entry *Approval
	StageDetails
	// Actions are in the order of their starts; those that a retry replaced stay.
	Actions []*Action
}

// StageDetails is what is kept of a stage beside its status.
type StageDetails struct {
	Phase Phase `json:"phase,omitempty"`
	// EarlierEntries are approvals of the entry that a retry asked for anew, oldest first.
	EarlierEntries []*Approval `json:"earlier_entries,omitempty"`
	// Retries is nil while the stage was not retried.
	Retries *Retries `json:"retries,omitempty"`
	// Conditions are those that were checked or skipped, oldest first.
	Conditions []*Condition `json:"conditions,omitempty"`
}

// Retries counts the retries of a stage: CodePipeline's RetryStageMetadata.
type Retries struct {
	Automatic int `json:"automatic,omitempty"`
	Manual    int `json:"manual,omitempty"`
	// Last is RetryAutomated or RetryManual, whichever was last, and LastAt when.
	Last   RetryTrigger `json:"last"`
	LastAt time.Time    `json:"last_at"`
}

// RetryTrigger says who asked for a retry, as CodePipeline names it.
type RetryTrigger string

// The triggers of retries.
const (
	RetryAutomated RetryTrigger = "AutomatedStageRetry"
	RetryManual    RetryTrigger = "ManualStageRetry"
)

// Condition is one check of a condition of a stage.
type Condition struct {
	Kind   pipeline.ConditionKind `json:"kind"`
	Result pipeline.Result        `json:"result"`
	Status pipeline.Status        `json:"status"`
	// Summary is one sentence on the outcome.
	Summary   string    `json:"summary,omitempty"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Rules     []*Rule   `json:"rules"`
	// Override is set once somebody overrode the condition.
	Override *Override `json:"override,omitempty"`
}

// Rule is one rule of a condition that is checked.
type Rule struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"`
	Provider string          `json:"provider"`
	Status   pipeline.Status `json:"status"`
	// Attempt is 1 for a rule that a runner carries out, else 0.
	Attempt       int               `json:"attempt,omitempty"`
	Configuration map[string]string `json:"configuration,omitempty"`
	Summary       string            `json:"summary,omitempty"`
	Failure       *action.Failure   `json:"failure,omitempty"`
	StartedAt     time.Time         `json:"started_at,omitzero"`
	EndedAt       time.Time         `json:"ended_at,omitzero"`
	// Work is pipeline.WorkTurn for a rule that runs in turns, else 0.
	Work        pipeline.Work `json:"work,omitempty"`
	ExternalID  string        `json:"external_id,omitempty"`
	ExternalURL string        `json:"external_url,omitempty"`
	// State is what the last turn answered with.
	State []byte `json:"state,omitempty"`
	// Opens is when a deployment window that the rule waits for opens.
	Opens time.Time `json:"opens,omitzero"`
	// Deadline is when the rule fails if it still waits.
	Deadline time.Time `json:"deadline,omitzero"`
}

// Override is somebody's word that a condition does not matter this time.
type Override struct {
	Principal string    `json:"principal"`
	Reason    string    `json:"reason"`
	At        time.Time `json:"at"`
}

// PipelineState is what is known of a pipeline beside its definition and its
// executions. It outlives both versions and executions.
type PipelineState struct {
	Stages map[string]*StageState `json:"stages,omitempty"`
}

// Stage returns the state of a stage, which is empty where nothing is known.
func (s *PipelineState) Stage(name string) StageState {
	if s == nil || s.Stages[name] == nil {
		return StageState{}
	}
	return *s.Stages[name]
}

// StageState is the state of one stage, by its name.
type StageState struct {
	// Transition is nil while nobody touched it, which is enabled.
	Transition *Transition `json:"transition,omitempty"`
	// Latest is the execution that entered the stage last.
	Latest *Passage `json:"latest,omitempty"`
	// Succeeded is the STANDARD execution whose release the stage has: the one that
	// succeeded in it last, or the target of a rollback that succeeded since.
	Succeeded *Passage `json:"succeeded,omitempty"`
}

// Passage is an execution in a stage.
type Passage struct {
	ExecutionID string `json:"execution_id"`
	Number      int64  `json:"number"`
	Version     int64  `json:"version"`
}

// Transition is the inbound door of a stage.
type Transition struct {
	Disabled bool `json:"disabled,omitempty"`
	// Reason is why it is disabled, empty where it is enabled.
	Reason    string    `json:"reason,omitempty"`
	Principal string    `json:"principal"`
	At        time.Time `json:"at"`
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
	Attempt int
	Status  pipeline.Status
	// Retried is set once a retry of the stage replaced the action: what it left
	// does not count any more.
	Retried   bool
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
	// State is what the last turn answered with.
	State []byte `json:"state,omitempty"`
}

// Approval is a wait for people.
type Approval struct {
	// Requirements are the rules as they were when the wait began; all must be met.
	Requirements []Requirement      `json:"requirements"`
	Decisions    []ApprovalDecision `json:"decisions,omitempty"`
	ExpiresAt    time.Time          `json:"expires_at"`
	// ExecutionAttempt is the attempt of the execution that asked for the entry of a
	// stage: with it the wait has an id of its own when a retry asks again. It is 0 for
	// actions, whose execution has an id, and for entries that an older server asked for.
	ExecutionAttempt int `json:"execution_attempt,omitempty"`
	// Skipped says why nobody is asked, if on_rollback skips the approval, which counts
	// as given then.
	Skipped string `json:"skipped,omitempty"`
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
	// Supersede lets a newer execution that arrives take the place of one that
	// waits for this approval alone.
	Supersede bool `json:"supersede,omitempty"`
}

// ApprovalDecision is one person's approval or rejection, with what it was about.
type ApprovalDecision struct {
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
	SubjectCondition Subject = "condition"
)

// EventState is what happened to the subject of an event.
type EventState string

// The states of events: CodePipeline's with its spelling, and ours for what it has
// no event for: the last seven, and FAILED and the like of conditions.
const (
	EventStarted    EventState = "STARTED"
	EventSucceeded  EventState = "SUCCEEDED"
	EventFailed     EventState = "FAILED"
	EventStopping   EventState = "STOPPING"
	EventStopped    EventState = "STOPPED"
	EventSuperseded EventState = "SUPERSEDED"
	EventCanceled   EventState = "CANCELED"
	EventResumed    EventState = "RESUMED"
	EventAbandoned  EventState = "ABANDONED"
	EventSkipped    EventState = "SKIPPED"
	EventApproved   EventState = "APPROVED"
	EventRejected   EventState = "REJECTED"
	EventLost       EventState = "LOST"
	EventErrored    EventState = "ERRORED"
	EventLinked     EventState = "LINKED"
	EventOverridden EventState = "OVERRIDDEN"
)

// Event is one change of state.
type Event struct {
	// Position is given by the store, ascending.
	Position          int64
	At                time.Time
	ExecutionID       string
	Subject           Subject
	State             EventState
	Stage             string
	Action            string
	ActionExecutionID string
	// Attempt is that of the action.
	Attempt int
	// ExecutionAttempt is that of the execution.
	ExecutionAttempt int
	// Condition is the kind of the condition that the event is about.
	Condition pipeline.ConditionKind
	Principal string
	Message   string
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

// The kinds of turns.
const (
	// TurnAction runs the turn executor of an action.
	TurnAction TurnKind = "action"
	// TurnExpire fails an approval that nobody decided in time.
	TurnExpire TurnKind = "expire"
	// TurnRecheck looks again at a condition that waits for a time.
	TurnRecheck TurnKind = "recheck"
	// TurnAbandon tells a service to end the work of an action or rule that nobody waits
	// for any more. It belongs to no execution: it outlives the end of the execution and
	// the deletion of the pipeline.
	TurnAbandon TurnKind = "abandon"
	// TurnRef asks a remote where a ref is, TurnCompare compares files for pending decisions
	// of triggers, and TurnObserve reads all refs of a repository. None of them belongs to
	// an execution.
	TurnRef     TurnKind = "trigger.ref"
	TurnCompare TurnKind = "trigger.compare"
	TurnObserve TurnKind = "trigger.observe"
	// TurnPoll reads all refs of a repository again and again. TurnSweep looks for what no
	// delivery told of: with TurnBackfill in a repository, with TurnRedeliver at the forge of
	// a webhook.
	TurnPoll      TurnKind = "trigger.poll"
	TurnSweep     TurnKind = "trigger.sweep"
	TurnBackfill  TurnKind = "trigger.backfill"
	TurnRedeliver TurnKind = "trigger.redeliver"
	// TurnManage compares the hooks of a webhook with those on the forge, TurnUnhook removes
	// one there.
	TurnManage TurnKind = "trigger.manage"
	TurnUnhook TurnKind = "trigger.unhook"
)

// AbandonTurnID returns the id of the turn that abandons the work of an action or rule
// execution.
func AbandonTurnID(actionExecutionID string) string { return "abandon/" + actionExecutionID }

// LateAbandonTurnID returns the id of the turn that abandons the work again, after a turn
// that was under way when the work was abandoned told of a newer state.
func LateAbandonTurnID(actionExecutionID string) string {
	return AbandonTurnID(actionExecutionID) + "/late"
}

// AbandonResult is how one try of an abandon went.
type AbandonResult string

// The results of tries.
const (
	AbandonConfirmed AbandonResult = "confirmed"
	AbandonFailed    AbandonResult = "failed"
	AbandonGivenUp   AbandonResult = "given_up"
)

// Abandon is how far the abandon of work is.
type Abandon struct {
	// Since is when Headrace stopped waiting for the work.
	Since time.Time `json:"since"`
	// Tries counts those that failed, and Error says why the last did.
	Tries int    `json:"tries,omitempty"`
	Error string `json:"error,omitempty"`
	// GivenUpAt is when the server stopped trying. The turn stays as the record of that
	// while its execution exists.
	GivenUpAt time.Time `json:"given_up_at,omitzero"`
}

// Turn is short work that is due at a time.
type Turn struct {
	// ID is the action execution's, or "execution id/stage position" for the
	// approval of a stage's entry and for its condition, of which only one waits at
	// a time: at most one turn is pending for each. See AbandonTurnID for TurnAbandon.
	ID   string
	Kind TurnKind
	// Scope and ExecutionID are empty for a turn that belongs to no execution.
	Scope       ScopeKey
	ExecutionID string
	DueAt       time.Time
	// Work is set for TurnAction and TurnAbandon.
	Work *action.Turn
	// Abandon is set for TurnAbandon.
	Abandon *Abandon
	// Carrier is the dispatcher's name of what carries the turn already, because it
	// carried the one before; 0 where the turn is queued.
	Carrier int64
}

// Change is all that one decision writes, in one transaction.
type Change struct {
	// Started are new executions; Updated ones existed before.
	Started []*Execution
	Updated []*Execution
	// Resumed are those of Updated that had ended and are live again.
	Resumed []*Execution
	// State is the new state of the pipeline; nil where it stays as it is.
	State *PipelineState
	// Scope is set where State is.
	Scope ScopeKey
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
	// Lost is the one of DoneAttempts whose runner was lost, empty for none.
	Lost      string
	Turns     []*Turn
	DoneTurns []string
	// Log is the log of the attempt that ended, nil if it is stored elsewhere.
	Log *Log
	// Carrier is what carried the turn that led to this, 0 for none. It is done with
	// the commit, unless one of Turns has it too.
	Carrier int64
}

// Log is the log of one attempt of an action or rule execution.
type Log struct {
	ExecutionID, ActionExecutionID string
	action.SmallLog
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
