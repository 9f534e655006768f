package service

import (
	"context"
	"errors"
	"io"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// logChunk is how much of a log is sent at once: with its offset it fits into a buffer
// of 32 KiB. The next larger one that messages are sent from has 1 MiB, which a client
// that does not read would make the server keep, twice for each of its tails.
const logChunk = 31 << 10

// LogTail says which part of a log is wanted.
type LogTail struct {
	// Offset is the first byte; it counts from the end where it is negative.
	Offset int64
	// Lines, where it is not 0, is how many lines before the end it begins instead.
	Lines int
	// Follow goes on until the action or rule ended.
	Follow bool
}

// TailLog emits the log of an action execution, or of a rule execution.
func (x *Streams) TailLog(ctx context.Context, who auth.Identity, account, executionID, actionExecutionID string, tail LogTail, emit func(offset int64, data []byte) error) error {
	if err := authorize(who, auth.Read, account); err != nil {
		return err
	}
	// Before the first look at the action, so that its end is not missed in between.
	changed, stop := x.config.Loop.Subscribe(executionID)
	defer stop()
	ended, err := x.actionEnded(ctx, account, executionID, actionExecutionID)
	if err != nil {
		return err
	}
	log, err := x.config.Logs.Open(ctx, executionID, actionExecutionID)
	if err != nil {
		return err
	}
	defer log.Close()
	offset := tail.Offset
	switch {
	case tail.Lines > 0:
		if offset, err = log.LastLines(ctx, tail.Lines); err != nil {
			return err
		}
	case offset < 0:
		offset = max(log.Size()+offset, 0)
	}
	buffer := make([]byte, logChunk)
	for {
		n, err := log.Read(ctx, buffer, offset)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n > 0 {
			if err := emit(offset, buffer[:n]); err != nil {
				return err
			}
			offset += int64(n)
			continue
		}
		if ended || !tail.Follow {
			return nil
		}
		if err := x.awaitLog(ctx, changed, log, offset); err != nil {
			return err
		}
		// Asked before the next read, so that what was written before the end is
		// read after it.
		if ended, err = x.actionEnded(ctx, account, executionID, actionExecutionID); err != nil {
			return err
		}
	}
}

// awaitLog waits for more of a log, or for the execution to move.
func (x *Streams) awaitLog(ctx context.Context, changed <-chan struct{}, log *logs.Reader, offset int64) error {
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		err = log.Wait(waiting, offset)
	}()
	select {
	case <-done:
		return err
	case <-changed:
	case <-x.stopping:
		cancel()
		<-done
		return ErrStopping
	case <-ctx.Done():
	}
	cancel()
	<-done
	return ctx.Err()
}

func (x *Streams) actionEnded(ctx context.Context, account, executionID, actionExecutionID string) (ended bool, err error) {
	err = x.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		e, err := findExecution(ctx, r.ExecutionHead, account, executionID)
		if err != nil {
			return err
		}
		if !e.OutputsRemovedAt.IsZero() {
			return removedByRetention(e)
		}
		status, err := r.ActionStatus(ctx, executionID, actionExecutionID)
		if errors.Is(err, store.ErrNotFound) {
			status, err = ruleStatus(ctx, r, executionID, actionExecutionID)
		}
		ended = status.Terminal()
		return err
	})
	return ended, err
}

// ruleStatus returns the status of a rule of a condition that was or is checked.
func ruleStatus(ctx context.Context, r store.ExecutionReader, executionID, ruleID string) (pipeline.Status, error) {
	e, err := r.Execution(ctx, executionID)
	if err != nil {
		return "", err
	}
	for _, stage := range e.Stages {
		for _, condition := range stage.Conditions {
			for _, rule := range condition.Rules {
				if rule.ID == ruleID {
					return rule.Status, nil
				}
			}
		}
	}
	return "", refuse(KindNotFound, pipeline.ReasonNotFound, "execution %q has no action or rule execution %q", executionID, ruleID)
}
