package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// MaxLive bounds the live executions of one pipeline in QUEUED and PARALLEL mode.
const MaxLive = starter.MaxLive

// hasRoom refuses one more live execution where the mode has a limit and it is
// reached.
func hasRoom(ctx context.Context, r store.ExecutionReader, p *definition.Pipeline, mode pipeline.ExecutionMode) error {
	return starterRefusal(starter.HasRoom(ctx, r, p, mode))
}

// starterRefusal puts a refusal of the starter into the words of use cases.
func starterRefusal(err error) error {
	refusal, ok := starter.RefusalOf(err)
	if !ok {
		return err
	}
	kind := KindPrecondition
	if refusal.RetryAfter > 0 {
		kind = KindExhausted
	}
	return &Error{Kind: kind, Reason: refusal.Reason, Message: refusal.Message, RetryAfter: refusal.RetryAfter}
}
