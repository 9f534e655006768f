// Package store is the contract of persistence, one role interface for each kind of
// record. It must never decide anything: it keeps records and reports whether one is
// missing, stale or in the way.
package store

import (
	"context"
	"errors"
)

// Sentinels that engines return, wrapped with what they are about.
var (
	// ErrNotFound means that no such record exists.
	ErrNotFound = errors.New("not found")
	// ErrAlreadyExists means that a record of that name exists.
	ErrAlreadyExists = errors.New("already exists")
	// ErrFull means that the disk is full. Nothing was written; writes succeed again once
	// there is space.
	ErrFull = errors.New("the disk is full")
	// ErrDamaged means that what the database keeps on disk is not what it wrote there.
	ErrDamaged = errors.New("the database is damaged")
	// ErrUnavailable means that the database does not answer. A write may have been made
	// or not.
	ErrUnavailable = errors.New("the database does not answer")
	// ErrRemoving means that the artifact is being removed or was removed lately. A caller
	// that just stored it must check whether it still exists.
	ErrRemoving = errors.New("the artifact is being removed")
	// ErrStale means that the record changed since it was read: read it again and repeat
	// the write.
	ErrStale = errors.New("changed meanwhile")
	// ErrPositionUnknown means that the database never assigned that position in the feed
	// of events.
	ErrPositionUnknown = errors.New("unknown position in the feed")
)

// Store keeps everything that outlives a process.
type Store interface {
	// Update runs fn in a transaction and commits it durably before it returns. Functions
	// that arrive together may share a commit. If one of them fails, the others run again.
	// So fn may run more than once, and must have no effect except through its Tx and its
	// own variables. An error of fn rolls its writes back and is returned unchanged.
	Update(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error
	// View runs fn on one consistent snapshot that contains every commit that was
	// acknowledged before the call. If the database fails before it answers anything, fn
	// may run again.
	View(ctx context.Context, fn func(ctx context.Context, r Reader) error) error
	// Listen calls fn, until the context ends, with what other processes commit to the
	// same data, soon after they do. Notice.Missed reports that a notice may have been
	// lost.
	Listen(ctx context.Context, fn func(Notice)) error
	// Ready returns nil if the store answers, its schema is current and, if the last write
	// failed, it accepts writes again.
	Ready(ctx context.Context) error
	// Close waits for running transactions and releases everything.
	Close() error
}

// Reader reads all kinds of records. A missing record is ErrNotFound; an empty list is
// not an error. A function takes the roles that it needs instead.
type Reader interface {
	AccountReader
	TokenReader
	SessionReader
	DefinitionReader
	ApprovalRuleReader
	ConnectionReader
	ExecutionReader
	FeedReader
	OverviewReader
	WorkReader
	OutputReader
	RequestReader
	IdentityReader
	SecretReader
	WebhookReader
	LedgerReader
	TriggerReader
}

// Tx reads and writes all kinds of records in one transaction and sees its own writes.
// Each of its roles also reads what it writes.
type Tx interface {
	Reader
	AccountWriter
	TokenWriter
	SessionWriter
	DefinitionWriter
	ApprovalRuleWriter
	ConnectionWriter
	ExecutionWriter
	WorkWriter
	OutputWriter
	RequestWriter
	IdentityWriter
	SecretWriter
	WebhookWriter
	LedgerWriter
	TriggerWriter
}

// Page asks for at most Size records after the key After ("" or 0 for the start).
type Page struct {
	Size  int
	After string
}

// Notice describes what another process committed.
type Notice struct {
	// Executions are the ids of the executions that changed.
	Executions []string
	// Ready is set if attempts are waiting for a runner.
	Ready bool
	// Ended are the action execution ids of attempts that ended and are not tried again
	// in the same commit.
	Ended []string
	// Lost are those of Ended whose runner was lost.
	Lost []string
	// Missed is set if more may have been committed than the notice says.
	Missed bool
}
