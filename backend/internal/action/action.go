// Package action is the contract of executors, the code that carries out one
// type of action, and their registry. It must never touch the store or decide
// what an execution does next: it reports an outcome, the engine decides.
package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Scope says which action execution something belongs to. An executor is
// idempotent by ActionExecutionID.
type Scope struct {
	Account           string `json:"account"`
	Pipeline          string `json:"pipeline"`
	PipelineVersion   int64  `json:"pipeline_version"`
	ExecutionID       string `json:"execution_id"`
	Stage             string `json:"stage"`
	ActionExecutionID string `json:"action_execution_id"`
}

// Artifact is a named tree of files in the artifact store.
type Artifact struct {
	Name string `json:"name"`
	// Digest is the SHA-256 of the stored form, as hex.
	Digest string `json:"digest"`
	// Size is the length of the stored form in bytes.
	Size int64 `json:"size"`
}

// Attempt is one try to run an action on a runner. Its action's configuration,
// commands and environment hold no references to variables any more.
type Attempt struct {
	Scope
	// Number is 1 for the first try of the action execution.
	Number  int             `json:"number"`
	Action  pipeline.Action `json:"action"`
	Inputs  []Artifact      `json:"inputs,omitempty"`
	Timeout time.Duration   `json:"timeout"`
}

// ID names the attempt. A result of another attempt of the same action
// execution never counts for this one.
func (a *Attempt) ID() string {
	return fmt.Sprintf("%s/%d", a.ActionExecutionID, a.Number)
}

// MaxOutputBytes bounds the output variables of one action together, names and
// values, as CodePipeline does.
const MaxOutputBytes = 122880

// Failure says why an action failed.
type Failure struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// Codes of failures. The first five are CodePipeline's.
const (
	JobFailed           = "JobFailed"
	ConfigurationError  = "ConfigurationError"
	PermissionError     = "PermissionError"
	RevisionUnavailable = "RevisionUnavailable"
	SystemUnavailable   = "SystemUnavailable"
	TimedOut            = "TimedOut"
	RunnerLost          = "RunnerLost"
	ApprovalRejected    = "ApprovalRejected"
	ApprovalExpired     = "ApprovalExpired"
	// ApprovalRuleMissing: the account asks for an approval rule, and none matches.
	ApprovalRuleMissing = "ApprovalRuleMissing"
	// OutputTooLarge is CodePipeline's OutputVariablesSizeExceeded.
	OutputTooLarge = "OutputVariablesSizeExceeded"
)

// Revision is what a source action fetched.
type Revision struct {
	ID      string `json:"id"`
	Summary string `json:"summary,omitempty"`
	URL     string `json:"url,omitempty"`
	// Author is who wrote it, as Author returns it. Empty if the source has no authors.
	Author string `json:"author,omitempty"`
}

// Author returns a person as "Name <address>", or the one of the two that is known.
func Author(name, address string) string {
	switch {
	case address == "":
		return name
	case name == "":
		return address
	}
	return name + " <" + address + ">"
}

// Result is how an attempt or a turn ended: failed where Failure is set,
// succeeded otherwise.
type Result struct {
	Failure *Failure `json:"failure,omitempty"`
	// Summary is one sentence on what was done.
	Summary string `json:"summary,omitempty"`
	// Variables are the output variables.
	Variables map[string]string `json:"variables,omitempty"`
	Artifacts []Artifact        `json:"artifacts,omitempty"`
	Revision  *Revision         `json:"revision,omitempty"`
	// ExternalID and ExternalURL name the work elsewhere, where there is such.
	ExternalID  string `json:"external_id,omitempty"`
	ExternalURL string `json:"external_url,omitempty"`
}

// Failed returns a failed result.
func Failed(code, format string, args ...any) Result {
	return Result{Failure: &Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// Directories in an attempt's own, all empty at first: for the files that it works
// on, for what programs keep at home, and for temporary files.
const (
	FilesDir = "src"
	HomeDir  = "home"
	TempDir  = "tmp"
)

// Workspace is what a runner gives to an attempt, for its life.
type Workspace struct {
	// Dir is a directory of the attempt's own. It holds FilesDir, HomeDir and
	// TempDir and nothing else.
	Dir string
	// Root is Dir, opened before any process ran. What is done to files beside the
	// processes goes through it: a process may have put a symlink to anywhere in
	// the place of a file or a directory.
	Root *os.Root
	// Log takes what the user shall read; it is stored as it is written.
	Log io.Writer
	// Artifacts fetches inputs and stores outputs.
	Artifacts Artifacts
	// Run starts the processes of the attempt under the runner's isolation.
	Run ProcessFunc
}

// ErrUnstorable is in the chain of errors of Artifacts.Store where the files at
// hand are to blame and not the store: a glob matches nothing, a socket is among
// the files. The message says which.
var ErrUnstorable = errors.New("these files cannot be stored")

// Artifacts is what executors need of the artifact store.
type Artifacts interface {
	// Fetch lays the artifact's tree out below dir, a path in root that may hold
	// other files. It fails before a byte of a damaged artifact is used.
	Fetch(ctx context.Context, artifact Artifact, root *os.Root, dir string) error
	// Store keeps the files below dir, a path in root, that match one of the globs
	// (all where there are none), with modes and symlinks, under a name. It takes
	// nothing from outside of root.
	Store(ctx context.Context, name string, root *os.Root, dir string, globs []string) (Artifact, error)
}

// Process is one program to run in an attempt's name.
type Process struct {
	Argv []string
	Dir  string
	// Env is the whole environment, as KEY=value.
	Env []string
	// Visible are paths outside the work directory that the process must be able
	// to read, where isolation would hide them with the rest of /tmp. They never
	// uncover what belongs to the server.
	Visible []string
	// Stdout and Stderr may be the same writer.
	Stdout, Stderr io.Writer
}

// ProcessFunc runs a process in a group of its own to its end and returns its
// exit code, which is 128 plus the signal for a process that a signal ended.
// What is left of the group is killed when the process ends. When the context ends it kills the whole group and returns the
// context's error; other errors mean that the program could not be started.
type ProcessFunc func(ctx context.Context, process Process) (exitCode int, err error)

// AttemptExecutor runs actions whose type is pipeline.WorkAttempt. When the
// context ends it returns soon; the runner then ignores the result.
type AttemptExecutor interface {
	Execute(ctx context.Context, attempt Attempt, workspace Workspace) Result
}

// Turn is one short, bounded piece of work on an action execution.
type Turn struct {
	Scope
	// State is what the turn before answered with, nil for the first.
	State  []byte
	Action pipeline.Action
	Inputs []Artifact
}

// Outcome is the answer to a turn: again where Again is set, else the result.
type Outcome struct {
	Result Result
	// Again carries the state to the next turn, after its delay.
	Again *Again
}

// Again asks for another turn, as CodePipeline's continuation token does.
type Again struct {
	State []byte
	Delay time.Duration
}

// TurnExecutor runs actions whose type is pipeline.WorkTurn. A turn that dies is
// done again, so it is idempotent.
type TurnExecutor interface {
	Take(ctx context.Context, turn Turn) Outcome
}

// Registry holds the executors by action type.
type Registry struct {
	attempts map[pipeline.TypeID]AttemptExecutor
	turns    map[pipeline.TypeID]TurnExecutor
}

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		attempts: make(map[pipeline.TypeID]AttemptExecutor),
		turns:    make(map[pipeline.TypeID]TurnExecutor),
	}
}

// AddAttempt registers the executor of an action type that runs on runners.
func (r *Registry) AddAttempt(id pipeline.TypeID, executor AttemptExecutor) {
	r.attempts[id] = executor
}

// AddTurn registers the executor of an action type that runs in turns.
func (r *Registry) AddTurn(id pipeline.TypeID, executor TurnExecutor) {
	r.turns[id] = executor
}

// Attempt returns the executor for attempts of that type.
func (r *Registry) Attempt(id pipeline.TypeID) (AttemptExecutor, bool) {
	executor, ok := r.attempts[id]
	return executor, ok
}

// Turn returns the executor for turns of that type.
func (r *Registry) Turn(id pipeline.TypeID) (TurnExecutor, bool) {
	executor, ok := r.turns[id]
	return executor, ok
}
