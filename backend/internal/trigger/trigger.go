// Package trigger is the client of the loop that starts executions by itself: it takes what
// deliveries and remotes say, moves the ledger, decides by each trigger, starts executions
// and records why, in one transaction. It must never authorise a person or believe a
// delivery that nobody verified.
package trigger

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/starter"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Mirror answers what only remotes know.
type Mirror interface {
	// Refs reads the branches and tags of a remote as they are after the call.
	Refs(ctx context.Context, r mirror.Repository) (*mirror.Refs, error)
	ChangedFiles(ctx context.Context, r mirror.Repository, base, head string) (mirror.Changes, error)
	MergeBase(ctx context.Context, r mirror.Repository, a, b string) (string, error)
	IsAncestor(ctx context.Context, r mirror.Repository, ancestor, of string) (bool, error)
	Commit(ctx context.Context, r mirror.Repository, id string) (mirror.Commit, error)
	// Has tells whether a mirror exists, without making one.
	Has(r mirror.Repository) bool
	// Since compares a commit with one that was released before.
	Since(ctx context.Context, r mirror.Repository, released, head string) (mirror.History, error)
}

// Connections says what connections are.
type Connections interface {
	// Kind returns whose repositories a connection reaches, empty for a git server; and
	// store.ErrNotFound if there is no such connection.
	Kind(ctx context.Context, r store.Reader, account, connection string) (forge.Kind, error)
}

// Opener opens sealed values. It is not called within a transaction.
type Opener interface {
	Open(ctx context.Context, sealed []byte, binding string) ([]byte, error)
}

// Config is what an Intake needs.
type Config struct {
	Store       store.Store
	Loop        *loop.Loop
	Catalog     *pipeline.Catalog
	Mirror      Mirror
	Connections Connections
	Secrets     Opener
	// Formats are how the kinds of webhooks write deliveries, for replays and tests.
	Formats map[forge.Kind]forge.Format
	Clock   func() time.Time
	// NewID returns ids that ascend with time.
	NewID func() string
	Log   hclog.Logger

	// Forges may be nil.
	Forges Forges
	// HookURL returns the address of a webhook for forges.
	HookURL func(kind forge.Kind, path string) string
	// Poll is how often a repository is polled; 0 for never by this server. Backfill is how
	// often what was missed is looked for; 0 for after each start only.
	Poll, Backfill time.Duration
	// Shared is set if other servers may carry out the turns of this one.
	Shared bool
}

// Intake takes signals of deliveries and remotes, and events.
type Intake struct {
	config Config
	starts *starter.Starter
	// waiting counts the deliveries that wait for a commit.
	waiting atomic.Int64
	// late is set while Run has to do what Start had no room for.
	late     atomic.Bool
	refusals refusals
	reads    *reads
	compiled compiled
	opened   opened
	webhooks webhooks
}

// New returns an intake and registers its turns with the loop, which must not run yet.
func New(config Config) *Intake {
	i := &Intake{
		config: config,
		starts: starter.New(starter.Config{Loop: config.Loop, Catalog: config.Catalog, NewID: config.NewID}),
		reads:  newReads(), compiled: newCompiled(), opened: newOpened(config.Secrets), webhooks: newWebhooks(),
	}
	config.Loop.Handle(execution.TurnObserve, i.observe)
	config.Loop.Handle(execution.TurnRef, i.resolve)
	config.Loop.Handle(execution.TurnCompare, i.compare)
	config.Loop.Handle(execution.TurnPoll, i.poll)
	config.Loop.Handle(execution.TurnSweep, i.sweep)
	config.Loop.Handle(execution.TurnBackfill, i.backfill)
	config.Loop.Handle(execution.TurnRedeliver, i.redeliver)
	config.Loop.Handle(execution.TurnManage, i.manage)
	config.Loop.Handle(execution.TurnUnhook, i.unhook)
	return i
}
