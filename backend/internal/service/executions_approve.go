package service

import (
	"context"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

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
