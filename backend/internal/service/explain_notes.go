package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// notesOf says of a rollback, and of the execution whose failure started one, what is
// deployed as long as the rollback has not succeeded, and which gates it skipped. Of an
// execution whose failure started none because nothing ran, it says that nothing changed.
func (x *Explanations) notesOf(ctx context.Context, r store.Reader, state *execution.PipelineState, head *execution.Execution) ([]string, error) {
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
		def, err := x.config.Loop.Definition(ctx, r, e.PipelineID, e.Version)
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

// noteStorageDown adds to what runs, or waits to, that the storage is what it waits for.
func noteStorageDown(reasons []engine.Reason) {
	for i := range reasons {
		switch r := &reasons[i]; r.Kind {
		case engine.WaitAction, engine.WaitRunner, engine.WaitRule:
			r.Message += "; the storage of artifacts and logs does not answer, and nothing begins or ends without it: the server's log says why"
		default:
		}
		noteStorageDown(reasons[i].Causes)
	}
}

// noteRunnerSick adds to what waits for a runner that this server's takes nothing. Why is the
// operator's business alone: it names files of the server.
func noteRunnerSick(reasons []engine.Reason) {
	for i := range reasons {
		if r := &reasons[i]; r.Kind == engine.WaitRunner {
			r.Message += "; the runner of this server is unhealthy and takes no actions: the server's log says why"
		}
		noteRunnerSick(reasons[i].Causes)
	}
}

// noteStoreDown adds to what runs that its end could not be stored.
func noteStoreDown(reasons []engine.Reason, err error) {
	why := "its log says why"
	if errors.Is(err, store.ErrFull) {
		why = store.ErrFull.Error()
	}
	for i := range reasons {
		if r := &reasons[i]; r.Kind == engine.WaitAction || r.Kind == engine.WaitRule {
			r.Message += "; it may have ended, since the server cannot store anything at present: " + why
		}
		noteStoreDown(reasons[i].Causes, err)
	}
}
