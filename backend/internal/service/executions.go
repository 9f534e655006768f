package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/dispatch"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// MaxLive bounds the live executions of one pipeline, as CodePipeline does in
// QUEUED and PARALLEL mode. It holds for starts, retries and overrides. Rollbacks
// count, and are not refused: who rolls back has an emergency, and a stage holds one
// of them at a time.
const MaxLive = 50

// roomRetry is how soon there may be room for one more: executions take minutes.
const roomRetry = 30 * time.Second

// ExecutionsConfig is what Executions needs.
type ExecutionsConfig struct {
	Store    store.Store
	Queue    dispatch.Queue
	Catalog  *pipeline.Catalog
	Registry *action.Registry
	Logs     *logs.Store
	// Artifacts is asked for those that were on their way out when they were stored.
	Artifacts Trees
	// Storage returns nil while artifacts and logs can be kept, for explanations; nil
	// means always.
	Storage func(context.Context) error
	Clock   func() time.Time
	// NewID returns ids that ascend with time, since pages are ordered by them.
	NewID func() string
	// Lease is how long a runner may be silent before its attempts are lost.
	Lease time.Duration
	// Shared is set where other processes may work on the same store.
	Shared bool
	// Observe is told of every committed change, for metrics; may be nil. It reads
	// the events alone: the records may have changed again.
	Observe func(*execution.Change)
	Log     hclog.Logger
}

// Executions runs pipelines. Every input takes the same way: load the scope,
// let the engine decide, commit state, events and work together, then wake
// whoever carries the work out.
type Executions struct {
	ExecutionsConfig
	scopes      *scopeCache
	definitions *definitionCache
	rules       *ruleCache
	pool        *pool
	watchers    *watchers
	// lost are attempts of an earlier process whose loss is not recorded yet. They
	// are Recover's, then Run's.
	lost      []*execution.Lease
	recovered atomic.Bool
	// stopping ends streams when the server stops.
	stopping     chan struct{}
	stoppingOnce sync.Once
	searches     *searches
	searchTime   time.Duration
}

// NewExecutions returns the use cases of executions. Run must run for anything
// to happen.
func NewExecutions(config ExecutionsConfig) *Executions {
	return &Executions{
		ExecutionsConfig: config,
		scopes:           newScopeCache(),
		definitions:      newDefinitionCache(),
		rules:            newRuleCache(),
		pool:             newPool(),
		watchers:         newWatchers(),
		stopping:         make(chan struct{}),
		searches:         newSearches(),
		searchTime:       searchTime,
	}
}

// StartInput is what an execution starts with.
type StartInput struct {
	Variables map[string]string
	// Overrides ask for revisions in the place of the newest.
	Overrides []pipeline.Override
	RequestID string
}

// Start starts one run of the newest version of a pipeline. A repeated request
// id returns the execution that the first one started.
func (x *Executions) Start(ctx context.Context, who auth.Identity, account, pipelineName string, in StartInput) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	repeat := startRequest{account: account, pipeline: pipelineName, method: "StartExecution", id: in.RequestID}
	return x.begin(ctx, repeat, func(ctx context.Context, tx store.Tx, out *outcome) error {
		e, err := x.newExecution(ctx, tx, who, account, pipelineName, in)
		if err != nil {
			return refusal(out, err)
		}
		return x.decide(ctx, tx, e.Scope(), "", engine.Start{Execution: e}, out)
	})
}

// startRequest is a call that starts an execution and may be repeated under one id.
type startRequest struct{ account, pipeline, method, id string }

// begin commits the start of an execution and returns it, or the one that the
// request started before.
func (x *Executions) begin(ctx context.Context, repeat startRequest, start func(context.Context, store.Tx, *outcome) error) (*execution.Execution, error) {
	id := ""
	out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) error {
		id = ""
		if repeat.id != "" {
			earlier, err := startedBy(ctx, tx, repeat)
			if err == nil {
				id = earlier
				return nil
			}
			if !errors.Is(err, store.ErrNotFound) {
				return refusal(out, err)
			}
		}
		if err := start(ctx, tx, out); err != nil || !out.accepted() {
			return err
		}
		// The first that the change starts: others follow from it.
		id = out.changes[len(out.changes)-1].Started[0].ID
		if repeat.id == "" {
			return nil
		}
		return saveRequest(ctx, tx, repeat.account, repeat.method, repeat.id, id, x.Clock())
	})
	if err := errors.Join(err, out.refused()); err != nil {
		return nil, err
	}
	return x.read(ctx, repeat.account, id)
}

// startedBy returns the execution that a request started before, or
// store.ErrNotFound. An id that started another pipeline is refused: whoever
// repeats it would take the one for the other.
func startedBy(ctx context.Context, r store.Reader, repeat startRequest) (string, error) {
	id, err := r.Request(ctx, repeat.account, repeat.method, repeat.id)
	if err != nil {
		return "", err
	}
	e, err := find(ctx, r.ExecutionHead, repeat.account, id)
	if err != nil {
		return "", err
	}
	if e.Pipeline != repeat.pipeline {
		return "", refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
			"the request id was used before, to start pipeline %q; use a fresh one for each start", e.Pipeline)
	}
	return id, nil
}

// newExecution makes the record of a new run, pinned to the newest version.
func (x *Executions) newExecution(ctx context.Context, tx store.Tx, who auth.Identity, account, pipelineName string, in StartInput) (*execution.Execution, error) {
	p, err := published(ctx, tx, account, pipelineName)
	if err != nil {
		return nil, err
	}
	def, err := x.definition(ctx, tx, p.ID, p.Version)
	if err != nil {
		return nil, err
	}
	resolved, err := pipeline.ValidateVariables(def, in.Variables)
	if err != nil {
		return nil, invalidDefinition(err, nil, nil)
	}
	if err := pipeline.ValidateOverrides(def, x.Catalog, in.Overrides); err != nil {
		return nil, invalidDefinition(err, nil, nil)
	}
	if err := hasRoom(ctx, tx, &p, def.Mode()); err != nil {
		return nil, err
	}
	number, err := tx.NextNumber(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return &execution.Execution{
		ID: x.NewID(), Account: account, PipelineID: p.ID, Pipeline: p.Name, Number: number, Version: p.Version,
		Mode: def.Mode(), Variables: resolved, Overrides: in.Overrides,
		Trigger: execution.Trigger{Type: execution.TriggerStart, Principal: who.Principal},
	}, nil
}

// hasRoom refuses one more live execution where the mode has a limit and it is
// reached.
func hasRoom(ctx context.Context, r store.Reader, p *store.Pipeline, mode pipeline.ExecutionMode) error {
	if mode == pipeline.Superseded {
		return nil
	}
	live, err := r.LiveExecutions(ctx, p.ID)
	if err != nil || len(live) < MaxLive {
		return err
	}
	full := refuse(KindExhausted, pipeline.ReasonLimitExceeded,
		"pipeline %q has %d executions in progress, the most that %s mode allows: wait for one to end or stop one", p.Name, len(live), mode)
	full.RetryAfter = roomRetry
	return full
}

// Get returns an execution with its stages and actions.
func (x *Executions) Get(ctx context.Context, who auth.Identity, account, executionID string) (*execution.Execution, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	return x.read(ctx, account, executionID)
}

func (x *Executions) read(ctx context.Context, account, executionID string) (*execution.Execution, error) {
	var e *execution.Execution
	err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		e, err = find(ctx, r.Execution, account, executionID)
		return err
	})
	return e, err
}

// find reads an execution of an account; one of another account does not exist
// for the caller.
func find(ctx context.Context, read func(context.Context, string) (*execution.Execution, error), account, executionID string) (*execution.Execution, error) {
	e, err := read(ctx, executionID)
	if errors.Is(err, store.ErrNotFound) || (err == nil && e.Account != account) {
		return nil, refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q does not exist in account %q", executionID, account)
	}
	return e, err
}

// List returns executions, newest first, without stages; of all pipelines where
// pipelineName is empty. Before is the id of the last one of the page before.
func (x *Executions) List(ctx context.Context, who auth.Identity, account, pipelineName string, statuses []pipeline.Status, before string, size int) ([]*execution.Execution, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	var found []*execution.Execution
	err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		filter := store.ExecutionFilter{Account: account, Statuses: statuses, Before: before, Size: size}
		if pipelineName != "" {
			p, err := findPipeline(ctx, r, account, pipelineName)
			if err != nil {
				return err
			}
			filter.PipelineID = p.ID
		}
		var err error
		found, err = r.Executions(ctx, filter)
		return err
	})
	return found, err
}

// Stop stops an execution, by waiting for its running actions or abandoning them.
func (x *Executions) Stop(ctx context.Context, who auth.Identity, account, executionID string, abandon bool, reason string) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	if err := checkReason(reason); err != nil {
		return nil, err
	}
	in := engine.Stop{ExecutionID: executionID, Principal: who.Principal, Reason: reason, Abandon: abandon}
	return x.input(ctx, account, executionID, in)
}

// Decision is one person's word on an open approval. Stage and Action may be
// empty where only one is open.
type Decision struct {
	Stage, Action string
	// ApprovalID is the wait that the person was shown, empty if that is not known.
	ApprovalID string
	Approve    bool
	Comment    string
}

// Decide records an approval or a rejection. It returns what was decided upon, with the
// execution as it is after the decision.
func (x *Executions) Decide(ctx context.Context, who auth.Identity, account, executionID string, d Decision) (engine.Wait, error) {
	if err := authorize(who, auth.Approve, account); err != nil {
		return engine.Wait{}, err
	}
	if err := pipeline.CheckLines("the comment", d.Comment); err != nil {
		return engine.Wait{}, invalidField(requestPath("comment"), err.Error())
	}
	e, err := x.input(ctx, account, executionID, engine.Approve{
		ExecutionID: executionID, Stage: d.Stage, Action: d.Action, ApprovalID: d.ApprovalID,
		Principal: who.Principal, Groups: who.Groups, Approved: d.Approve, Comment: d.Comment,
	})
	if err != nil {
		return engine.Wait{}, err
	}
	return newest(e, who.Principal), nil
}

// newest finds what a person decided on last. It finds nothing if a retry has asked for
// the entry anew since.
func newest(e *execution.Execution, principal string) engine.Wait {
	found := engine.Wait{Execution: e}
	var at time.Time
	look := func(w engine.Wait) {
		if w.Approval() == nil {
			return
		}
		for _, v := range w.Approval().Decisions {
			if v.Principal == principal && !v.At.Before(at) {
				at, found = v.At, w
			}
		}
	}
	for _, stage := range e.Stages {
		look(engine.Wait{Execution: e, Stage: stage})
		for _, a := range stage.Actions {
			look(engine.Wait{Execution: e, Stage: stage, Action: a})
		}
	}
	return found
}

// input decides about an existing execution and returns it as it is then.
func (x *Executions) input(ctx context.Context, account, executionID string, in engine.Input) (*execution.Execution, error) {
	out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) error {
		e, err := find(ctx, tx.ExecutionHead, account, executionID)
		if err != nil {
			return refusal(out, err)
		}
		return x.decide(ctx, tx, e.Scope(), "", in, out)
	})
	if err := errors.Join(err, out.refused()); err != nil {
		return nil, err
	}
	return x.read(ctx, account, executionID)
}

// DeletePipeline deletes a pipeline with its history; the caller was authorised to. It
// is refused if the pipeline does not have the etag, and while an execution is live,
// unless force abandons them first in the same transaction. The etag is compared in that
// transaction too: parts of a composed pipeline that are deleted at the same time change
// its revision, but nothing that the caller read.
func (x *Executions) DeletePipeline(ctx context.Context, who auth.Identity, account, name, etag string, force bool) ([]Warning, error) {
	var p store.Pipeline
	var ids []string
	var warnings []Warning
	out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) (err error) {
		if p, err = findPipeline(ctx, tx, account, name); err != nil {
			return refusal(out, err)
		}
		if err := checkEtag(&p, etag); err != nil {
			return refusal(out, err)
		}
		if warnings, err = staysGuarded(ctx, tx, who, &p, &pipeline.Definition{}); err != nil {
			return refusal(out, err)
		}
		live, err := tx.LiveExecutions(ctx, p.ID)
		if err != nil {
			return err
		}
		if len(live) > 0 && !force {
			return refusal(out, refuse(KindPrecondition, pipeline.ReasonExecutionLive,
				"pipeline %q has %d executions in progress (the oldest is number %d, %s): stop them with 'headrace execution stop', or delete with force, which abandons them",
				p.Name, len(live), live[0].Number, live[0].ID))
		}
		// The newest first, and rollbacks last, which never wait: one that waits behind
		// another must not start because that one is stopped.
		slices.Reverse(live)
		slices.SortStableFunc(live, func(a, b *execution.Execution) int { return strings.Compare(string(b.Type), string(a.Type)) })
		for _, e := range live {
			in := engine.Stop{ExecutionID: e.ID, Principal: who.Principal, Reason: "the pipeline is deleted", Abandon: true}
			if err := x.decide(ctx, tx, e.Scope(), "", in, out); err != nil {
				return err
			}
		}
		if !out.accepted() {
			return nil
		}
		if ids, err = executionIDs(ctx, tx, p.ID); err != nil {
			return err
		}
		return tx.DeletePipeline(ctx, p.ID, p.Revision)
	})
	if err := errors.Join(err, out.refused()); err != nil {
		return nil, err
	}
	x.scopes.drop(p.ID)
	for _, id := range ids {
		x.watchers.notify(id)
		if err := x.Logs.Remove(ctx, id); err != nil {
			x.Log.Warn("logs of a deleted pipeline are left behind", "pipeline", p.Name, "execution", id, "error", err)
		}
	}
	return warnings, nil
}

// executionIDs returns the ids of all executions of a pipeline. It reads them by
// pages, since only the ids are kept.
func executionIDs(ctx context.Context, r store.Reader, pipelineID string) ([]string, error) {
	var ids []string
	filter := store.ExecutionFilter{PipelineID: pipelineID, Size: 1000}
	for {
		page, err := r.Executions(ctx, filter)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			ids = append(ids, e.ID)
		}
		if len(page) < filter.Size {
			return ids, nil
		}
		filter.Before = ids[len(ids)-1]
	}
}

// Explanation says why an execution is where it is.
type Explanation struct {
	Status  pipeline.Status
	Summary string
	Reasons []engine.Reason
	// Steps are what can be done now, the most likely first.
	Steps []engine.Step
	// Refusals say why a retry or an override is not among them.
	Refusals []StepRefusal
	// Notes are what else an operator has to know.
	Notes []string
}

// Explain says why an execution waits.
func (x *Executions) Explain(ctx context.Context, who auth.Identity, account, executionID string) (Explanation, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return Explanation{}, err
	}
	var found Explanation
	err := x.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		// It runs again where the view is done again.
		found = Explanation{}
		e, err := find(ctx, r.ExecutionHead, account, executionID)
		if err != nil {
			return err
		}
		if e.Status.Terminal() {
			// The scope does not hold it.
			if e, err = r.Execution(ctx, executionID); err != nil {
				return err
			}
		}
		found.Status, found.Summary = e.Status, fmt.Sprintf("execution %d of %s is %s", e.Number, e.Pipeline, e.Status)
		if e.Status.Terminal() && e.Summary != "" {
			found.Summary += ": " + e.Summary
		}
		scope, err := x.load(ctx, r, e.Scope())
		if errors.Is(err, store.ErrNotFound) {
			// That of a PARALLEL execution ended with it.
			scope, err = x.newScope(e.Scope()), nil
		}
		if err != nil {
			return err
		}
		if found.Notes, err = x.notesOf(ctx, r, scope.State, e); err != nil {
			return err
		}
		if err := x.next(ctx, r, scope, e, &found); err != nil {
			return err
		}
		found.limit(who, e, scope)
		if e.Status.Terminal() {
			return nil
		}
		work, err := pendingWork(ctx, r)
		if err != nil {
			return err
		}
		found.Reasons = engine.Explain(&scope.Scope, e.ID, work, x.Clock())
		unmet, err := unmetNotes(ctx, r, who, account, found.Reasons, x.Clock())
		found.Notes = append(found.Notes, unmet...)
		return err
	})
	if err != nil {
		return found, err
	}
	if err := x.Store.Ready(ctx); err != nil {
		doubt(found.Reasons, err)
	}
	if x.Storage != nil && x.Storage(ctx) != nil {
		away(found.Reasons)
	}
	return found, nil
}

// notesOf says of a rollback, and of the execution whose failure started one, what is
// deployed as long as the rollback has not succeeded, and which gates it skipped. Of an
// execution whose failure started none because nothing ran, it says that nothing changed.
func (x *Executions) notesOf(ctx context.Context, r store.Reader, state *execution.PipelineState, head *execution.Execution) ([]string, error) {
	automatic := head.Rollback != nil && head.Rollback.FailedID != ""
	if !automatic && (head.Status != pipeline.Failed || head.Mode == pipeline.Parallel) {
		return nil, nil
	}
	e, err := r.Execution(ctx, head.ID)
	if err != nil || e.Current() == nil {
		return nil, err
	}
	rollback, failed := e, e
	latest := state.Stage(e.Current().Name).Latest
	switch {
	case latest == nil || automatic && latest.ExecutionID != e.ID:
		// What others have deployed since is not known here.
		rollback = nil
	case automatic:
		failed, err = r.Execution(ctx, e.Rollback.FailedID)
	default:
		rollback, err = r.Execution(ctx, latest.ExecutionID)
		if err == nil && (rollback.Rollback == nil || rollback.Rollback.FailedID != e.ID) {
			rollback = nil
		}
	}
	if err != nil {
		return nil, err
	}
	var notes []string
	switch {
	case rollback != nil:
		notes = append(notes, engine.StillDeployed(failed, rollback, e))
	case !automatic && latest != nil && latest.ExecutionID == e.ID:
		def, err := x.definition(ctx, r, e.PipelineID, e.Version)
		if err != nil {
			return nil, err
		}
		if def.Stages[e.Current().Position].MayRollBack() {
			notes = append(notes, engine.Unchanged(e))
		}
	}
	if automatic {
		notes = append(notes, engine.SkippedGates(e))
	}
	return slices.DeleteFunc(notes, func(note string) bool { return note == "" }), nil
}

// unmetNotes says of open approvals which requirements too few people can meet now.
func unmetNotes(ctx context.Context, r store.Reader, who auth.Identity, account string, reasons []engine.Reason, now time.Time) ([]string, error) {
	reasons = slices.DeleteFunc(slices.Clone(reasons), func(reason engine.Reason) bool { return reason.Wait == nil })
	if len(reasons) == 0 {
		return nil, nil
	}
	people, err := approvers(ctx, r, who, account, now)
	if err != nil {
		return nil, err
	}
	var notes []string
	for i := range reasons {
		wait := reasons[i].Wait
		record := wait.Approval()
		able := people.With(record.Decisions)
		for j := range record.Requirements {
			requirement := &record.Requirements[j]
			message := approval.TooFew(requirement, account, able)
			if message == "" {
				continue
			}
			rule := ""
			if requirement.Rule != "" {
				rule = ", rule " + requirement.Rule
			}
			notes = append(notes, fmt.Sprintf("%s%s: %s", wait, rule, message))
		}
	}
	return notes, nil
}

// away adds to what runs, or waits to, that the storage is what it waits for.
func away(reasons []engine.Reason) {
	for i := range reasons {
		switch r := &reasons[i]; r.Kind {
		case engine.WaitAction, engine.WaitRunner, engine.WaitRule:
			r.Message += "; the storage of artifacts and logs does not answer, and nothing begins or ends without it: the server's log says why"
		default:
		}
		away(reasons[i].Causes)
	}
}

// doubt adds to what runs that its end could not be stored.
func doubt(reasons []engine.Reason, err error) {
	why := "its log says why"
	if errors.Is(err, store.ErrFull) {
		why = store.ErrFull.Error()
	}
	for i := range reasons {
		if r := &reasons[i]; r.Kind == engine.WaitAction || r.Kind == engine.WaitRule {
			r.Message += "; it may have ended, since the server cannot store anything at present: " + why
		}
		doubt(reasons[i].Causes, err)
	}
}

func pendingWork(ctx context.Context, r store.Reader) (engine.Work, error) {
	work := engine.Work{Leases: make(map[string]*execution.Lease), Turns: make(map[string]*execution.Turn)}
	leases, err := r.Leases(ctx)
	if err != nil {
		return work, err
	}
	for _, l := range leases {
		work.Leases[l.Attempt.ActionExecutionID] = l
	}
	turns, err := r.Turns(ctx)
	for _, t := range turns {
		work.Turns[t.ID] = t
	}
	return work, err
}

// Write implements Runs.
func (x *Executions) Write(ctx context.Context, fn func(context.Context, Publication) error) error {
	out, err := x.update(ctx, func(ctx context.Context, tx store.Tx, out *outcome) error {
		return fn(ctx, Publication{Tx: tx, Cancel: func(ctx context.Context, pipelineID string, version int64, principal string) error {
			in := engine.Cancel{Version: version, Principal: principal}
			return x.decide(ctx, tx, execution.ScopeKey{PipelineID: pipelineID}, "", in, out)
		}})
	})
	return errors.Join(err, out.refused())
}

// definition returns an immutable version, from memory where it was read before.
func (x *Executions) definition(ctx context.Context, r store.Reader, pipelineID string, version int64) (*pipeline.Definition, error) {
	if def := x.definitions.get(pipelineID, version); def != nil {
		return def, nil
	}
	v, err := r.PipelineVersion(ctx, pipelineID, version)
	if err != nil {
		return nil, err
	}
	x.definitions.put(pipelineID, version, &v.Definition)
	return &v.Definition, nil
}

// lendRules gives the engine its view of the approval rules of an account and of whether
// they are required. Both are those of the decision's own transaction. The engine cannot
// fail on a read, so the error is left in failed.
func (x *Executions) lendRules(ctx context.Context, tx store.Tx, scope *cachedScope, account, pipelineName string, out *outcome, failed *error) {
	read := sync.OnceValue(func() accountRules {
		rules, err := x.approvalRules(ctx, tx, account, out)
		if err != nil {
			*failed = err
		}
		return rules
	})
	scope.Requirements = func(stage, actionName string) []execution.Requirement {
		return approval.Requirements(read().rules, pipelineName, stage, actionName)
	}
	scope.RuleRequired = func() bool { return read().required }
}

// approvalRules returns the rules of an account. Those from memory are confirmed in the
// transaction: where they or the setting changed it fails, at once or at its commit, and
// is done again.
func (x *Executions) approvalRules(ctx context.Context, tx store.Tx, account string, out *outcome) (accountRules, error) {
	if known, ok := x.rules.get(account); ok {
		return known, tx.ConfirmRules(ctx, account, known.revision)
	}
	// In this order: rules that are newer than their revision are not confirmed later.
	revision, err := tx.RulesRevision(ctx, account)
	if err != nil {
		return accountRules{}, err
	}
	rules, err := tx.ApprovalRules(ctx, account, store.Page{})
	if err != nil {
		return accountRules{}, err
	}
	settings, err := tx.Account(ctx, account)
	if err != nil {
		return accountRules{}, err
	}
	read := accountRules{account: account, revision: revision, rules: rules, required: settings.RequireApprovalRule}
	out.rules = append(out.rules, read)
	return read, nil
}
