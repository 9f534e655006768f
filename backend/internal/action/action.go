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
	// Change is set for a source action if a change of its repository started the execution.
	Change *Change `json:"change,omitempty"`
	// Returned is set once a runner returned the attempt, because it could not begin it.
	Returned *Returned `json:"returned,omitempty"`
}

// Returned says how often runners returned an attempt, and which did last and why.
type Returned struct {
	Count  int    `json:"count"`
	Runner string `json:"runner"`
	Reason string `json:"reason"`
}

// Change is what a trigger found in the repository of a source action. The commit itself is
// in the action's configuration, as an override.
type Change struct {
	// Ref is whole, such as refs/heads/main. It is empty for a pull request.
	Ref         string       `json:"ref,omitempty"`
	PullRequest *PullRequest `json:"pull_request,omitempty"`
}

// PullRequest is one that started an execution.
type PullRequest struct {
	Number            int64  `json:"number"`
	Title             string `json:"title,omitempty"`
	SourceBranch      string `json:"source_branch,omitempty"`
	DestinationBranch string `json:"destination_branch,omitempty"`
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
	Code    FailureCode `json:"code"`
	Message string      `json:"message"`
}

// FailureCode says what kind of failure it is, for programs that react to it.
type FailureCode string

// Codes of failures. The first five are CodePipeline's.
const (
	JobFailed           FailureCode = "JobFailed"
	ConfigurationError  FailureCode = "ConfigurationError"
	PermissionError     FailureCode = "PermissionError"
	RevisionUnavailable FailureCode = "RevisionUnavailable"
	SystemUnavailable   FailureCode = "SystemUnavailable"
	// RunnerFault says that the machine of the runner is to blame, and that nothing was done which
	// must not be done again. The runner returns such an attempt. If it may not, it reports
	// SystemUnavailable, so that RunnerFault is never stored.
	RunnerFault      FailureCode = "RunnerFault"
	TimedOut         FailureCode = "TimedOut"
	RunnerLost       FailureCode = "RunnerLost"
	ApprovalRejected FailureCode = "ApprovalRejected"
	ApprovalExpired  FailureCode = "ApprovalExpired"
	// ApprovalRuleMissing: the account asks for an approval rule, and none matches.
	ApprovalRuleMissing FailureCode = "ApprovalRuleMissing"
	// OutputTooLarge is CodePipeline's OutputVariablesSizeExceeded.
	OutputTooLarge FailureCode = "OutputVariablesSizeExceeded"
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
	// Log is set by the runner, if the log of the attempt was not stored yet. It is kept if
	// the result counts.
	Log *SmallLog `json:"-"`
}

// Failed returns a failed result.
func Failed(code FailureCode, format string, args ...any) Result {
	return Result{Failure: &Failure{Code: code, Message: fmt.Sprintf(format, args...)}}
}

// FailedByRunner returns the result of an attempt that can be made again elsewhere or later.
func FailedByRunner(format string, args ...any) Result {
	return Failed(RunnerFault, format, args...)
}

// Redacted returns the result with redact applied to each of its texts: they reach events,
// the database and everybody who may read the execution.
func (r Result) Redacted(redact func(string) string) Result {
	r.Summary, r.ExternalID, r.ExternalURL = redact(r.Summary), redact(r.ExternalID), redact(r.ExternalURL)
	if r.Failure != nil {
		r.Failure = &Failure{Code: r.Failure.Code, Message: redact(r.Failure.Message)}
	}
	if r.Revision != nil {
		r.Revision = &Revision{
			ID: redact(r.Revision.ID), Summary: redact(r.Revision.Summary), URL: redact(r.Revision.URL), Author: redact(r.Revision.Author),
		}
	}
	if len(r.Variables) > 0 {
		variables := make(map[string]string, len(r.Variables))
		for name, value := range r.Variables {
			variables[name] = redact(value)
		}
		r.Variables = variables
	}
	return r
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
	// Credentials hands out what the attempt authenticates with.
	Credentials Credentials
	// Secrets hands out secrets of the account.
	Secrets Secrets
	// Run starts the processes of the attempt under the runner's isolation.
	Run ProcessFunc
	// Gate begins the script of a shell that runs as a Process with Gated set.
	Gate string
	// Isolation names what keeps the processes from the machine, IsolationNone or another.
	Isolation string
	// Writable are the directories of the machine that processes may write to under an
	// isolation.
	Writable []string
}

// The names of isolations. Under bubblewrap TempDir is also /tmp.
const (
	IsolationNone       = "none"
	IsolationBubblewrap = "bubblewrap"
	// IsolationUnavailable refuses processes that are not Trusted: they are to be isolated and
	// cannot be.
	IsolationUnavailable = "unavailable"
)

// ErrNotIsolated says that the machine cannot isolate processes, and that nobody chose to run
// them without isolation.
var ErrNotIsolated = errors.New("commands cannot be isolated on this server, because bubblewrap does not work there; " +
	"ask its operator to install bubblewrap and restart headraced, or to start headraced with --isolation none, " +
	"which lets commands do everything that the server's user can")

// ErrUnstorable is in the chain of errors of Artifacts.Store where the files at
// hand are to blame and not the store: a glob matches nothing, a socket is among
// the files. The message says which.
var ErrUnstorable = errors.New("these files cannot be stored")

// ErrStorageFailed is in the chain of errors of Artifacts where the storage failed and not the
// artifact or its files: trying again may help.
var ErrStorageFailed = errors.New("the storage of artifacts failed")

// Files says which files an artifact holds.
type Files struct {
	// Dir is the directory of the files, a path in the attempt's root.
	Dir string
	// Globs are relative to Dir. Without globs everything below Dir is kept.
	Globs []string
	// Time is the modification time that every file gets, for a tree that is equal whenever
	// it is stored. If it is zero, each file keeps its own.
	Time time.Time
}

// Stored is an artifact that was stored.
type Stored struct {
	Artifact
	// Remarks are what its users have to know of the files and would not see, such as links
	// that lead to nothing. An executor puts them in its log and its summary.
	Remarks []string
}

// Artifacts is what executors need of the artifact store.
type Artifacts interface {
	// Fetch lays the artifact's tree out below dir, a path in root that may hold
	// other files. It fails before a byte of a damaged artifact is used.
	Fetch(ctx context.Context, artifact Artifact, root *os.Root, dir string) error
	// Store keeps files below root under a name, with modes, modification times and
	// symlinks. It takes nothing from outside of root.
	Store(ctx context.Context, name string, root *os.Root, files Files) (Stored, error)
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
	// Trusted says that the process runs nothing that a user wrote, so that it may run where no
	// isolation works.
	Trusted bool
	// Stdout and Stderr may be the same writer.
	Stdout, Stderr io.Writer
	// Gated says that the program is a shell whose script begins with Workspace.Gate, so that
	// nothing of the script runs before the runner is ready. Only of such a program it is
	// certain that all it starts is found, and named if it stays.
	Gated bool
}

// ProcessFunc runs a process to its end and returns its exit code, which is 128
// plus the signal for a process that a signal ended. What it started and left behind is
// killed, wherever it went. When the context ends all of them get SIGTERM, and SIGKILL
// after the runner's grace, and it returns the context's error. It returns when all have
// ended. Other errors mean that the program could not be started.
type ProcessFunc func(ctx context.Context, process Process) (exitCode int, err error)

// AttemptExecutor runs actions whose type is pipeline.WorkAttempt. When the
// context ends it returns soon; the runner then ignores the result.
type AttemptExecutor interface {
	Execute(ctx context.Context, attempt Attempt, workspace Workspace) Result
}

// Turn is one short, bounded piece of work on an action or a rule.
type Turn struct {
	Scope
	// State is what the turn before answered with, nil for the first.
	State  []byte `json:",omitempty"`
	Action pipeline.Action
	Inputs []Artifact `json:",omitempty"`
	// Deadline is when the action times out. A turn that is taken from then on is the last:
	// its result counts, and an answer of Again ends the action and abandons the work.
	Deadline time.Time `json:"deadline,omitzero"`
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
	// Summary is one sentence on how far the work is. An empty one leaves the last.
	Summary string
	// ExternalID and ExternalURL name the work elsewhere while it runs. Empty ones leave
	// the last.
	ExternalID, ExternalURL string
}

// Tools are what a turn is given beside its work, until its context ends.
type Tools struct {
	// Log appends to the log of the action, which users can read while the action runs.
	// A turn that writes nothing costs nothing; one that writes at every look makes the
	// log of a long action long.
	Log io.Writer
	// Artifacts fetches inputs and stores outputs.
	Artifacts Artifacts
	// Credentials hands out what the turn authenticates with.
	Credentials Credentials
	// Secrets hands out secrets of the account. None may be part of the state that a turn
	// carries on, which is stored.
	Secrets Secrets
	// Budget is how long the turn may take, from its start. Then its context ends. A failure
	// that is returned after that abandons the work, since the executor did not see its end.
	Budget time.Duration
}

// TurnExecutor runs actions and rules whose type is pipeline.WorkTurn.
//
// A turn that dies is taken again with the same state, also when it had reached the
// service already, so both methods are idempotent: they derive names and client tokens
// from the turn's ActionExecutionID, and find by them what an earlier try began.
type TurnExecutor interface {
	// Take does one step: it begins the work, or checks its progress.
	Take(ctx context.Context, turn Turn, tools Tools) Outcome
	// Abandon tells the service to end the work, because Headrace stopped waiting for it.
	// The state is the last that a turn answered with. It returns nil if the work never
	// began, has ended, or was abandoned before. After an error it is called again.
	Abandon(ctx context.Context, turn Turn, tools Tools) error
}
