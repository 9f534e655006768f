package service

import (
	"context"
	"errors"
	"io"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// indexReading is how much of a log without an index a call reads without taking a slot: no
// more than of one that has an index.
const indexReading = 4 << 20

// LogRead says which part of a log is wanted: lines, or bytes if Lines is 0.
type LogRead struct {
	// Line is the number of the first line, from 1; it counts from the end if it is negative.
	Line  int64
	Lines int
	// Offset is the first byte; it counts from the end if it is negative.
	Offset int64
	// Bytes is how much is returned at most.
	Bytes int
}

// LogPart is a part of a log.
type LogPart struct {
	Lines []logs.Line
	Data  []byte
	// Begin is of the first byte of the part, End the place after the last one.
	Begin logs.Place
	End   int64
	// Size is that of the log.
	Size int64
}

// StatLog tells how long the log of an action or rule execution is, and whether it ended.
func (x *Streams) StatLog(ctx context.Context, who auth.Identity, account, executionID, actionExecutionID string) (stat logs.Stat, done bool, err error) {
	done, err = x.readLog(ctx, who, account, executionID, actionExecutionID, func(log *logs.Reader) error {
		stat, err = log.Stat(ctx)
		return err
	})
	return stat, done, err
}

// ReadLog returns a part of the log of an action or rule execution.
func (x *Streams) ReadLog(ctx context.Context, who auth.Identity, account, executionID, actionExecutionID string, read LogRead) (part LogPart, err error) {
	_, err = x.readLog(ctx, who, account, executionID, actionExecutionID, func(log *logs.Reader) error {
		if read.Lines > 0 {
			part, err = readLines(ctx, log, read)
		} else {
			part, err = readBytes(ctx, log, read)
		}
		part.Size = log.Size()
		return err
	})
	return part, err
}

// readLog opens a log for a call. It also tells whether the action or rule ended before.
func (x *Streams) readLog(ctx context.Context, who auth.Identity, account, executionID, actionExecutionID string, read func(*logs.Reader) error) (done bool, err error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return false, err
	}
	if done, err = x.actionEnded(ctx, account, executionID, actionExecutionID); err != nil {
		return false, err
	}
	log, err := x.config.Logs.Open(ctx, executionID, actionExecutionID)
	if err != nil {
		return false, err
	}
	defer log.Close()
	if log.Unindexed() > indexReading {
		// It costs as much as a search.
		end, err := x.searches.begin(ctx, x.stopping, account, who.Token)
		if err != nil {
			return false, err
		}
		defer end()
	}
	err = read(log)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		// The log was removed meanwhile.
		if _, removed := x.actionEnded(ctx, account, executionID, actionExecutionID); removed != nil {
			return false, removed
		}
		err = refuse(KindNotFound, pipeline.ReasonNotFound, "the log of %q of execution %q was removed while it was read", actionExecutionID, executionID)
	}
	return done, err
}

func readLines(ctx context.Context, log *logs.Reader, read LogRead) (LogPart, error) {
	lines, end, err := log.Lines(ctx, read.Line, read.Lines, read.Bytes)
	part := LogPart{Lines: lines, Begin: end, End: end.Offset}
	if len(lines) > 0 {
		part.Begin = lines[0].Place
	}
	return part, err
}

func readBytes(ctx context.Context, log *logs.Reader, read LogRead) (LogPart, error) {
	size := log.Size()
	offset := read.Offset
	if offset < 0 {
		offset += size
	}
	offset = min(max(offset, 0), size)
	begin, err := log.PlaceAt(ctx, offset)
	if err != nil {
		return LogPart{}, err
	}
	data := make([]byte, min(int64(read.Bytes), size-offset))
	for n := 0; n < len(data); {
		more, err := log.Read(ctx, data[n:], offset+int64(n))
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return LogPart{}, err
		}
		n += more
	}
	return LogPart{Data: data, Begin: begin, End: offset + int64(len(data))}, nil
}
