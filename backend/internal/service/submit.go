package service

import (
	"context"
	"errors"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// submit runs a transaction of the loop. What a caller did wrong is the answer to that
// caller and not a failed transaction, which others who share the commit would suffer from.
func submit(ctx context.Context, l *loop.Loop, fn func(context.Context, *loop.Tx) error) error {
	var refused *Error
	err := l.Submit(ctx, func(ctx context.Context, tx *loop.Tx) error {
		refused = nil
		err := engineRefusal(fn(ctx, tx))
		if errors.As(err, &refused) {
			return nil
		}
		return err
	})
	if err == nil && refused != nil {
		err = refused
	}
	return err
}

// engineRefusal puts the engine's refusals into words for the caller.
func engineRefusal(err error) error {
	for _, known := range []struct {
		is     error
		kind   Kind
		reason pipeline.Reason
	}{
		{engine.ErrNoApproval, KindPrecondition, pipeline.ReasonApprovalNotFound},
		{engine.ErrStaleApproval, KindPrecondition, pipeline.ReasonApprovalStale},
		{engine.ErrNotEligible, KindDenied, pipeline.ReasonApprovalNotEligible},
		{engine.ErrCommentRequired, KindPrecondition, pipeline.ReasonCommentRequired},
		{engine.ErrAlreadyDecided, KindPrecondition, pipeline.ReasonAlreadyDecided},
		{engine.ErrNotStoppable, KindPrecondition, pipeline.ReasonNotStoppable},
		{engine.ErrDuplicateStop, KindPrecondition, pipeline.ReasonDuplicateStop},
		{engine.ErrStageNotFound, KindNotFound, pipeline.ReasonStageNotFound},
		{engine.ErrNotRetryable, KindPrecondition, pipeline.ReasonStageNotRetryable},
		{engine.ErrNotLatest, KindPrecondition, pipeline.ReasonNotLatestExecution},
		{engine.ErrUnableToRollback, KindPrecondition, pipeline.ReasonUnableToRollback},
		{engine.ErrOutdated, KindPrecondition, pipeline.ReasonExecutionOutdated},
		{engine.ErrNotOverridable, KindPrecondition, pipeline.ReasonConditionNotOverridable},
		{engine.ErrNoTransitions, KindPrecondition, pipeline.ReasonNoTransitions},
		{engine.ErrOutputsRemoved, KindPrecondition, pipeline.ReasonOutputsRemoved},
	} {
		if errors.Is(err, known.is) {
			return refuse(known.kind, known.reason, "%s", err)
		}
	}
	return err
}
