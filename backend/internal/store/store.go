// Package store is the contract of persistence. It must never decide anything:
// it keeps records and says plainly when one is missing, stale or in the way.
package store

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Sentinels that engines return, wrapped with what they are about.
var (
	// ErrNotFound: no such record.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists: a record of that name is there.
	ErrAlreadyExists = errors.New("already exists")
	// ErrFull: there is no room; nothing was written. It goes on when there is.
	ErrFull = errors.New("the disk is full")
	// ErrUnavailable: the database does not answer. A write may have been made or not.
	ErrUnavailable = errors.New("the database does not answer")
	// ErrRemoving: the artifact is on its way out, or went lately. Whoever just stored it
	// has to look whether it is there.
	ErrRemoving = errors.New("the artifact is being removed")
	// ErrStale: the record changed since it was read; read again and redo.
	ErrStale = errors.New("changed meanwhile")
)

// Store keeps everything that outlives a process.
type Store interface {
	// Update runs fn in a transaction and commits it durably before it returns.
	// Functions that arrive together may share a commit. When one of them fails
	// the others are run again, so fn may run more than once and must have no
	// effect but through its Tx and its own variables. An error of fn rolls its
	// writes back and is returned as it is.
	Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// View runs fn on one consistent snapshot that contains every commit
	// acknowledged before the call. If the database went away before it answered
	// anything, fn may run again.
	View(ctx context.Context, fn func(ctx context.Context, r Reader) error) error
	// Listen calls fn with what other processes on the same data commit, soon after,
	// until the context ends. Where some of it may have been missed, Notice says so.
	Listen(ctx context.Context, fn func(Notice)) error
	// Ready returns nil when the store answers, its schema is current and, where the
	// last write failed, it takes writes again.
	Ready(ctx context.Context) error
	// Close waits for running transactions and releases everything.
	Close() error
}

// Notice tells what another process committed.
type Notice struct {
	// Executions that changed, by id.
	Executions []string
	// Ready is set where there are attempts that nobody holds.
	Ready bool
	// Ended are the action execution ids of attempts that are over and not tried again
	// in the same commit.
	Ended []string
	// Missed is set where more may have happened than was told.
	Missed bool
}

// Page asks for at most Size records after the key After ("" or 0 for the start).
type Page struct {
	Size  int
	After string
}

// Reader reads. What is missing is ErrNotFound; an empty list is no error.
type Reader interface {
	Account(ctx context.Context, name string) (Account, error)
	// Accounts are ordered by name; Page.After is a name, size 0 returns all.
	Accounts(ctx context.Context, page Page) ([]Account, error)

	TokenByHash(ctx context.Context, hash string) (Token, error)
	Token(ctx context.Context, id string) (Token, error)
	// Tokens are ordered by id, which ascends with their creation; Page.After is
	// an id, size 0 returns all.
	Tokens(ctx context.Context, page Page) ([]Token, error)

	Pipeline(ctx context.Context, account, name string) (Pipeline, error)
	// Pipelines are ordered by name; Page.After is a name.
	Pipelines(ctx context.Context, account string, page Page) ([]Pipeline, error)
	// PipelineHeads are all pipelines of an account by name, with nothing but id, account,
	// name, revision and time of the last change.
	PipelineHeads(ctx context.Context, account string) ([]Pipeline, error)
	PipelineVersion(ctx context.Context, pipelineID string, version int64) (PipelineVersion, error)
	// PipelineVersions come newest first; before 0 starts at the newest.
	PipelineVersions(ctx context.Context, pipelineID string, before int64, size int) ([]PipelineVersion, error)

	ApprovalRule(ctx context.Context, account, name string) (ApprovalRule, error)
	// ApprovalRules are ordered by name; size 0 returns all.
	ApprovalRules(ctx context.Context, account string, page Page) ([]ApprovalRule, error)

	// Execution returns it with its stages and actions: stages by position, the
	// actions of each by id, which ascends in the order of their starts.
	Execution(ctx context.Context, id string) (*execution.Execution, error)
	// ExecutionHead returns it without its stages.
	ExecutionHead(ctx context.Context, id string) (*execution.Execution, error)
	// ActionStatus returns the status of an action of an execution.
	ActionStatus(ctx context.Context, executionID, actionExecutionID string) (pipeline.Status, error)
	// Executions come newest first, without stages.
	Executions(ctx context.Context, filter ExecutionFilter) ([]*execution.Execution, error)
	// LiveScope returns a scope as a decision needs it.
	LiveScope(ctx context.Context, key execution.ScopeKey) (LiveScope, error)
	// LiveExecutions returns the ids of the live executions of a pipeline, in
	// every scope, with their modes.
	LiveExecutions(ctx context.Context, pipelineID string) ([]*execution.Execution, error)

	// CountLive returns how many executions of all accounts are live.
	CountLive(ctx context.Context) (int, error)
	// CountAttempts returns how many attempts nobody holds and how many somebody does.
	CountAttempts(ctx context.Context) (ready, held int, err error)

	// Events of an execution after a position, in order, at most size.
	Events(ctx context.Context, executionID string, after int64, size int) ([]execution.Event, error)

	// Leases returns attempts by place in the queue: those that nobody holds and
	// those that somebody does.
	Leases(ctx context.Context) ([]*execution.Lease, error)
	Lease(ctx context.Context, actionExecutionID string) (*execution.Lease, error)
	// Turns returns all pending turns by due time.
	Turns(ctx context.Context) ([]*execution.Turn, error)
	Turn(ctx context.Context, id string) (*execution.Turn, error)
	// CarriedTurn returns the pending turn that has the carrier.
	CarriedTurn(ctx context.Context, carrier int64) (*execution.Turn, error)

	// ExecutionsWithOutputs returns those of a pipeline whose logs and artifacts retention has
	// not removed, after a number, in the order of their numbers, without stages.
	ExecutionsWithOutputs(ctx context.Context, pipelineID string, after int64, size int) ([]*execution.Execution, error)
	// Successes returns the number of the newest execution of a pipeline, and its state.
	Successes(ctx context.Context, pipelineID string) (newest int64, state *execution.PipelineState, err error)
	// ArtifactUses returns what executions have made or got, each artifact of an
	// execution once.
	ArtifactUses(ctx context.Context, executionIDs []string) ([]ArtifactUse, error)
	// CountUses returns how many executions use each of the artifacts; those that none
	// uses are missing.
	CountUses(ctx context.Context, digests []string) (map[string]int, error)
	// ArtifactRemovals returns those of the artifacts that are on their way out, or went
	// lately.
	ArtifactRemovals(ctx context.Context, digests []string) (map[string]ArtifactRemoval, error)
	// LogRemovals returns at most size executions whose logs are to be removed.
	LogRemovals(ctx context.Context, size int) ([]string, error)

	// Identity returns an id of SetIdentity.
	Identity(ctx context.Context, of IdentityOf) (string, error)

	// Request returns the resource that a write with that request id made, or
	// ErrNotFound.
	Request(ctx context.Context, account, method, requestID string) (string, error)
	// Creation returns the creation that is remembered of an object, by its resource name.
	Creation(ctx context.Context, resource string) (Creation, error)
}

// Tx reads and writes in one transaction and sees its own writes.
type Tx interface {
	Reader

	CreateAccount(ctx context.Context, account Account) error
	// UpdateAccount writes the settings of an account. That counts as a change of its
	// approval rules: see ConfirmRules.
	UpdateAccount(ctx context.Context, account Account) error

	CreateToken(ctx context.Context, token Token) error
	DeleteToken(ctx context.Context, id string) error

	CreatePipeline(ctx context.Context, p Pipeline) error
	// UpdatePipeline writes the record where its revision is still p.Revision,
	// and adds one to the revision; else ErrStale.
	UpdatePipeline(ctx context.Context, p Pipeline) error
	// DeletePipeline removes a pipeline that still has that revision, with its versions,
	// executions, events and work; else ErrStale. The logs of its executions are to be
	// removed then, and it uses no artifact any more.
	DeletePipeline(ctx context.Context, id string, revision int64) error
	CreatePipelineVersion(ctx context.Context, v PipelineVersion) error
	// NextNumber returns the next execution number of a pipeline.
	NextNumber(ctx context.Context, pipelineID string) (int64, error)

	CreateApprovalRule(ctx context.Context, rule ApprovalRule) error
	// UpdateApprovalRule is like UpdatePipeline.
	UpdateApprovalRule(ctx context.Context, rule ApprovalRule) error
	DeleteApprovalRule(ctx context.Context, account, name string) error
	// RulesRevision returns what ConfirmRules wants of somebody who then reads the rules
	// of an account. Nobody changes them until the transaction ends.
	RulesRevision(ctx context.Context, account string) (int64, error)
	// ConfirmRules is ErrStale where an account's approval rules or settings changed since
	// they had that revision. Nobody changes them until the transaction ends.
	ConfirmRules(ctx context.Context, account string, revision int64) error

	// ClaimScope gives a scope the revision next where it still has this one, and
	// keeps others out until the transaction ends; else ErrStale. Who keeps what it
	// decided beside the revision takes one that nobody else takes.
	ClaimScope(ctx context.Context, key execution.ScopeKey, revision, next int64) error
	// Apply writes all of a change. The scope of a PARALLEL execution goes with its
	// end and comes back at revision 0 where it is resumed: ErrStale where it is live
	// already, or its outputs were removed. A state of a pipeline that is gone is
	// ErrNotFound, and one of a PARALLEL scope an error. An output of an action that
	// somebody claimed to remove is ErrRemoving.
	Apply(ctx context.Context, change *execution.Change) error

	// TakeLease gives an attempt that nobody holds to a runner: of the account with the
	// fewest held ones, and where several have as few of that whose turn it is; of that
	// account's pipelines by the same rule; and of that pipeline's the oldest. Two that
	// take at the same time do not wait for each other. More tells whether others are
	// left. ErrNotFound where there is none.
	TakeLease(ctx context.Context, take Take) (lease *execution.Lease, more bool, err error)
	// RenewLeases extends all leases of a runner and returns them.
	RenewLeases(ctx context.Context, runner string, until time.Time) ([]*execution.Lease, error)
	// LetLeaseGo makes an attempt that a runner holds one that nobody does; else
	// ErrStale.
	LetLeaseGo(ctx context.Context, actionExecutionID string, number int, runner string) error

	// RemoveOutputs makes ended executions that ended by a time use no artifact any more,
	// and their logs ones that are to be removed. It returns those of which that is so
	// since now: others were removed before, or live again.
	RemoveOutputs(ctx context.Context, executionIDs []string, ended, at time.Time) ([]string, error)
	// LogsRemoved says that the logs of executions are gone.
	LogsRemoved(ctx context.Context, executionIDs []string) error
	// MarkArtifacts notes since when nobody uses artifacts, where nobody does and it is
	// not noted yet.
	MarkArtifacts(ctx context.Context, digests []string, at time.Time) error
	// ClaimArtifact lets the caller remove an artifact that nobody uses, whose removal
	// still is as it was seen; else ErrStale. Nobody begins to use it then.
	ClaimArtifact(ctx context.Context, digest string, seen ArtifactRemoval, at time.Time) error
	// ArtifactRemoved says that an artifact is gone which was claimed at that time; else
	// ErrStale.
	ArtifactRemoved(ctx context.Context, digest string, claimed, at time.Time) error
	// KeepArtifact lets an artifact be used again that is marked (claimed is zero then),
	// or was claimed at that time; else ErrStale.
	KeepArtifact(ctx context.Context, digest string, claimed time.Time) error
	// ForgetRemovals forgets marks and removals from before a time.
	ForgetRemovals(ctx context.Context, before time.Time) error

	// SetIdentity gives an id, where it still is the one that was seen, empty for none;
	// else ErrStale.
	SetIdentity(ctx context.Context, of IdentityOf, seen, id string) error

	// SaveRequest remembers what a write with a request id made; ErrAlreadyExists
	// when another did so first. It is remembered for 24 hours, by the times that
	// are given here, and may be forgotten then.
	SaveRequest(ctx context.Context, account, method, requestID, resource string, at time.Time) error

	// SaveCreation remembers the creation of an object, instead of an earlier one of the
	// same name. It is remembered for an hour, by the times that are given here, and may be
	// forgotten then.
	SaveCreation(ctx context.Context, c Creation) error
	// UpdateCreation replaces a creation that is still the one of the request seen, and not
	// confirmed; else ErrStale. Nobody else replaces it until the transaction ends.
	UpdateCreation(ctx context.Context, seen string, c Creation) error
	// ForgetCreation forgets the creation of an object, if one is remembered.
	ForgetCreation(ctx context.Context, resource string) error
}

// Creation is a create whose maker confirms that the answer arrived.
type Creation struct {
	// Resource is the resource name of the object.
	Resource string
	// RequestID and Principal are those of the create that the object belongs to.
	RequestID string
	Principal string
	// Object is what the maker's object can be told from a later or a changed one by.
	Object    string
	Confirmed bool
	CreatedAt time.Time
}

// Take is how a runner asks for an attempt.
type Take struct {
	// Runner will hold it until Until, unless it renews.
	Runner string
	Until  time.Time
	// Prefer is the action execution whose attempt goes before older ones of its
	// pipeline, where it is that pipeline's turn; empty for none.
	Prefer string
}

// ExecutionFilter selects executions.
type ExecutionFilter struct {
	Account string
	// PipelineID is empty for all pipelines of the account.
	PipelineID string
	// Statuses is empty for all.
	Statuses []pipeline.Status
	// Before is the id of the last execution of the page before; "" for the
	// newest. Ids ascend with the time of their start.
	Before string
	Size   int
}

// LiveScope is what one decision looks at.
type LiveScope struct {
	// Live are the live executions, by number, with stages and actions.
	Live []*execution.Execution
	// State is that of the pipeline, never nil. The scope of a PARALLEL execution
	// has an empty one.
	State *execution.PipelineState
	// Revision is what ClaimScope wants.
	Revision int64
}

// ArtifactUse is an artifact that an execution has made or got.
type ArtifactUse struct {
	ExecutionID, Digest string
	// Size is in bytes, as it is stored.
	Size int64
}

// ArtifactRemoval says how far the removal of an artifact is.
type ArtifactRemoval struct {
	// MarkedAt is since when nobody is known to use it.
	MarkedAt time.Time
	// ClaimedAt is when somebody began to remove it, zero while nobody did.
	ClaimedAt time.Time
	// RemovedAt is when it was gone, zero while it is not known to be.
	RemovedAt time.Time
}

// IdentityOf is what a random id tells from others of its kind.
type IdentityOf string

const (
	// OfDatabase is the id of the database itself.
	OfDatabase IdentityOf = "database"
	// OfStorage is the id of the storage of artifacts and logs that belongs to it.
	OfStorage IdentityOf = "storage"
)

// Account is a tenant.
type Account struct {
	Name      string
	CreatedAt time.Time
	// RequireApprovalRule lets a manual approval action fail that no approval rule matches.
	RequireApprovalRule bool
}

// Token names a principal and what it may do. Only a hash of the secret is kept.
type Token struct {
	ID        string
	Hash      string
	Principal string
	Groups    []string
	Bindings  []Binding
	CreatedAt time.Time
	// ExpiresAt is zero for never.
	ExpiresAt time.Time
}

// Binding grants a role in an account; "*" is every account.
type Binding struct {
	Account string `json:"account"`
	Role    string `json:"role"`
}

// Pipeline is a pipeline as declared.
type Pipeline struct {
	ID      string
	Account string
	Name    string
	// Composed pipelines keep their parts in Draft, inline ones in Definition.
	Composed bool
	// Explicit composed pipelines publish only when told.
	Explicit bool
	// Definition is what was declared; without stages where composed.
	Definition pipeline.Definition
	// Draft holds the stages of a composed pipeline by place.
	Draft []DraftStage
	// Version is the newest version, 0 for none; Digest is that version's.
	Version int64
	Digest  string
	// Revision changes with every write and is the etag.
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// DraftStage is a stage of a composed pipeline.
type DraftStage struct {
	Order int            `json:"order"`
	Stage pipeline.Stage `json:"stage"`
}

// PipelineVersion is one immutable definition.
type PipelineVersion struct {
	PipelineID string
	Version    int64
	Definition pipeline.Definition
	Digest     string
	Principal  string
	CreatedAt  time.Time
}

// ApprovalRule says who must agree, and where.
type ApprovalRule struct {
	Account     string
	Name        string
	Description string
	Pipelines   []string
	Stages      []string
	Actions     []string
	execution.Requirement
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}
