package service

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Clients branch on what is in the contract, not on words.
func TestEngineRefusals(t *testing.T) {
	t.Parallel()
	for refused, want := range map[error]Error{
		engine.ErrStaleApproval:    {Kind: KindPrecondition, Reason: pipeline.ReasonApprovalStale},
		engine.ErrNoApproval:       {Kind: KindPrecondition, Reason: pipeline.ReasonApprovalNotFound},
		engine.ErrNotEligible:      {Kind: KindDenied, Reason: pipeline.ReasonApprovalNotEligible},
		engine.ErrCommentRequired:  {Kind: KindPrecondition, Reason: pipeline.ReasonCommentRequired},
		engine.ErrAlreadyDecided:   {Kind: KindPrecondition, Reason: pipeline.ReasonAlreadyDecided},
		engine.ErrNotStoppable:     {Kind: KindPrecondition, Reason: pipeline.ReasonNotStoppable},
		engine.ErrDuplicateStop:    {Kind: KindPrecondition, Reason: pipeline.ReasonDuplicateStop},
		engine.ErrStageNotFound:    {Kind: KindNotFound, Reason: pipeline.ReasonStageNotFound},
		engine.ErrNotRetryable:     {Kind: KindPrecondition, Reason: pipeline.ReasonStageNotRetryable},
		engine.ErrNotLatest:        {Kind: KindPrecondition, Reason: pipeline.ReasonNotLatestExecution},
		engine.ErrUnableToRollback: {Kind: KindPrecondition, Reason: pipeline.ReasonUnableToRollback},
		engine.ErrOutdated:         {Kind: KindPrecondition, Reason: pipeline.ReasonExecutionOutdated},
		engine.ErrNotOverridable:   {Kind: KindPrecondition, Reason: pipeline.ReasonConditionNotOverridable},
		engine.ErrNoTransitions:    {Kind: KindPrecondition, Reason: pipeline.ReasonNoTransitions},
	} {
		err := fmt.Errorf("%w: because", refused)
		want.Message = err.Error()
		require.Equal(t, &want, engineRefusal(err))
	}
	other := errors.New("the disk is full")
	require.Equal(t, other, engineRefusal(other), "what is no refusal stays what it is")
}
