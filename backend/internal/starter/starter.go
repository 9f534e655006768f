// Package starter makes the record of a new execution: pinned to the newest version, with
// checked variables and revisions, if there is room for one more. People and triggers start
// executions by it. It must never authorise or decide what an execution does.
package starter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
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

// RefusalError says why no execution can start now. Its message is for users.
type RefusalError struct {
	Reason  pipeline.Reason
	Message string
	// RetryAfter is set if there is no room: how soon there may be some.
	RetryAfter time.Duration
}

func (r *RefusalError) Error() string { return r.Message }

// Config is what a Starter needs.
type Config struct {
	Loop    *loop.Loop
	Catalog *pipeline.Catalog
	// NewID returns ids that ascend with time.
	NewID func() string
}

// Starter makes records of executions.
type Starter struct {
	config Config
}

// New returns a starter.
func New(config Config) *Starter { return &Starter{config: config} }

// Input is what an execution starts with.
type Input struct {
	Variables map[string]string
	// Overrides ask for revisions instead of the newest.
	Overrides []pipeline.Override
	Trigger   execution.Trigger
}

// Execution makes the record of a new run of the newest version of a pipeline. The error is
// store.ErrNotFound for a pipeline that does not exist, a *RefusalError, or a
// *pipeline.ValidationError about the input.
func (s *Starter) Execution(ctx context.Context, tx store.Tx, account, pipelineName string, in Input) (*execution.Execution, error) {
	p, err := tx.PipelineHead(ctx, account, pipelineName)
	if err != nil {
		return nil, err
	}
	if p.Version == 0 {
		return nil, Unpublished(pipelineName)
	}
	def, err := s.config.Loop.Definition(ctx, tx, p.ID, p.Version)
	if err != nil {
		return nil, err
	}
	resolved, err := pipeline.ValidateVariables(def, in.Variables)
	if err != nil {
		return nil, err
	}
	if err := pipeline.ValidateOverrides(def, s.config.Catalog, in.Overrides); err != nil {
		return nil, err
	}
	if err := HasRoom(ctx, tx, &p, def.Mode()); err != nil {
		return nil, err
	}
	number, err := tx.NextNumber(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	return &execution.Execution{
		ID: s.config.NewID(), Account: account, PipelineID: p.ID, Pipeline: p.Name, Number: number, Version: p.Version,
		Mode: def.Mode(), Variables: resolved, Overrides: in.Overrides, Trigger: in.Trigger,
	}, nil
}

// Unpublished refuses to start a pipeline that has no version.
func Unpublished(pipelineName string) error {
	return &RefusalError{Reason: pipeline.ReasonNothingToPublish, Message: fmt.Sprintf(
		"pipeline %q has no version yet: its stages and actions do not make a valid definition so far, or nobody published them", pipelineName)}
}

// HasRoom refuses one more live execution where the mode has a limit and it is reached.
func HasRoom(ctx context.Context, r store.ExecutionReader, p *definition.Pipeline, mode pipeline.ExecutionMode) error {
	if mode == pipeline.Superseded {
		return nil
	}
	live, err := r.CountLiveOf(ctx, p.ID)
	if err != nil || live < MaxLive {
		return err
	}
	return &RefusalError{
		Reason: pipeline.ReasonLimitExceeded, RetryAfter: roomRetry,
		Message: fmt.Sprintf("pipeline %q has %d executions in progress, the most that %s mode allows: wait for one to end or stop one",
			p.Name, live, mode),
	}
}

// RefusalOf returns the refusal that an error is.
func RefusalOf(err error) (*RefusalError, bool) {
	var refusal *RefusalError
	return refusal, errors.As(err, &refusal)
}
