package service

import (
	"context"
	"errors"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ExecutionsConfig is what the use cases of executions need: Executions, Stages,
// Explanations and Streams.
type ExecutionsConfig struct {
	Store   store.Store
	Loop    *loop.Loop
	Catalog *pipeline.Catalog
	Logs    *logs.Store
	// Storage returns nil while artifacts and logs can be kept, for explanations; nil
	// means always.
	Storage func(context.Context) error
	// Runner returns why this server's runner takes nothing, for explanations; nil while it
	// does. Nil means always.
	Runner func() error
	// History compares sources with the last release, for explanations; nil for never.
	History History
	Clock   func() time.Time
	// NewID returns ids that ascend with time, since pages are ordered by them.
	NewID func() string
}

// Executions are the use cases that start executions, decide about them and show them.
type Executions struct {
	config ExecutionsConfig
	starts *starter.Starter
}

// NewExecutions returns the use cases of executions.
func NewExecutions(config ExecutionsConfig) *Executions {
	return &Executions{config: config, starts: starter.New(starter.Config{Loop: config.Loop, Catalog: config.Catalog, NewID: config.NewID})}
}

// input decides about an existing execution and returns it as it is then.
func (x *Executions) input(ctx context.Context, account, executionID string, in engine.Input) (*execution.Execution, error) {
	err := submit(ctx, x.config.Loop, func(ctx context.Context, tx *loop.Tx) error {
		e, err := findExecution(ctx, tx.ExecutionHead, account, executionID)
		if err != nil {
			return err
		}
		_, err = tx.Decide(ctx, e.Scope(), in)
		return err
	})
	if err != nil {
		return nil, err
	}
	return readExecution(ctx, x.config.Store, account, executionID)
}

// again decides about an execution that may have ended, which takes room among the
// live ones then.
func (x *Executions) again(
	ctx context.Context, who auth.Identity, account, executionID string, input func(e *execution.Execution, newest int64) engine.Input,
) (*execution.Execution, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	err := submit(ctx, x.config.Loop, func(ctx context.Context, tx *loop.Tx) error {
		e, err := findExecution(ctx, tx.Execution, account, executionID)
		if err != nil {
			return err
		}
		p, err := tx.Pipeline(ctx, account, e.Pipeline)
		if err != nil {
			return err
		}
		if e.Status.Terminal() {
			if err := hasRoom(ctx, tx, &p, e.Mode); err != nil {
				return err
			}
		}
		_, err = tx.Decide(ctx, e.Scope(), input(e, p.Version))
		return err
	})
	if err != nil {
		return nil, err
	}
	return readExecution(ctx, x.config.Store, account, executionID)
}

// startRequest is a call that starts an execution and may be repeated under one id.
type startRequest struct{ account, pipeline, method, id string }

// begin commits the start of an execution and returns it, or the one that the
// request started before.
func (x *Executions) begin(ctx context.Context, repeat startRequest, start func(context.Context, *loop.Tx) (*execution.Change, error)) (*execution.Execution, error) {
	id := ""
	err := submit(ctx, x.config.Loop, func(ctx context.Context, tx *loop.Tx) error {
		id = ""
		if repeat.id != "" {
			earlier, err := startedBy(ctx, tx, repeat)
			if err == nil {
				id = earlier
				return nil
			}
			if !errors.Is(err, store.ErrNotFound) {
				return err
			}
		}
		change, err := start(ctx, tx)
		if err != nil {
			return err
		}
		// The first that the change starts: others follow from it.
		id = change.Started[0].ID
		if repeat.id == "" {
			return nil
		}
		return saveRequest(ctx, tx, repeat.account, repeat.method, repeat.id, id, x.config.Clock())
	})
	if err != nil {
		return nil, err
	}
	return readExecution(ctx, x.config.Store, repeat.account, id)
}

// startedBy returns the execution that a request started before, or
// store.ErrNotFound. An id that started another pipeline is refused: whoever
// repeats it would take the one for the other.
func startedBy(ctx context.Context, r store.Reader, repeat startRequest) (string, error) {
	id, err := r.Request(ctx, repeat.account, repeat.method, repeat.id)
	if err != nil {
		return "", err
	}
	e, err := findExecution(ctx, r.ExecutionHead, repeat.account, id)
	if err != nil {
		return "", err
	}
	if e.Pipeline != repeat.pipeline {
		return "", refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
			"the request id was used before, to start pipeline %q; use a fresh one for each start", e.Pipeline)
	}
	return id, nil
}
