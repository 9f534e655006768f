// Package runnertest runs attempts on a real runner without a server, for tests
// of the runner and of executors. It is never part of a program.
package runnertest

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
)

// Report is a result that a runner gave.
type Report struct {
	Attempt action.Attempt
	Result  action.Result
}

// Jobs is an in-memory runner.Jobs. Give hands it work.
type Jobs struct {
	// Next, where set, returns what a report gives the runner in return.
	Next func(Report) *runner.Assignment
	// Returned, where set, takes what the runner returns.
	Returned func(action.Attempt)
	// RenewErr, where set, is what Renew returns.
	RenewErr func() error
	// Refuses says that reports have no effect, as those of lost attempts.
	Refuses atomic.Bool

	work    chan runner.Assignment
	Reports chan Report

	mu      sync.Mutex
	renewed int
}

var _ runner.Jobs = (*Jobs)(nil)

// NewJobs returns Jobs without work.
func NewJobs() *Jobs {
	return &Jobs{work: make(chan runner.Assignment, 100), Reports: make(chan Report, 100)}
}

// Give makes the attempt ready and returns what revokes it.
func (j *Jobs) Give(attempt action.Attempt) (revoke func()) {
	revoked := make(chan struct{})
	j.work <- runner.Assignment{Attempt: attempt, Revoked: revoked}
	return sync.OnceFunc(func() { close(revoked) })
}

// Acquire implements runner.Jobs.
func (j *Jobs) Acquire(ctx context.Context, _ string) (runner.Assignment, error) {
	select {
	case assignment := <-j.work:
		return assignment, nil
	case <-ctx.Done():
		return runner.Assignment{}, ctx.Err()
	}
}

// Renew implements runner.Jobs.
func (j *Jobs) Renew(context.Context, string) error {
	j.mu.Lock()
	j.renewed++
	j.mu.Unlock()
	if j.RenewErr != nil {
		return j.RenewErr()
	}
	return nil
}

// Renewals returns how often Renew was called.
func (j *Jobs) Renewals() int {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.renewed
}

// Report implements runner.Jobs.
func (j *Jobs) Report(_ context.Context, _ string, attempt action.Attempt, result action.Result) (runner.Answer, error) {
	report := Report{attempt, result}
	if j.Next != nil {
		if next := j.Next(report); next != nil {
			return runner.Answer{Next: next, Counted: !j.Refuses.Load()}, nil
		}
	}
	select {
	case j.Reports <- report:
		return runner.Answer{Counted: !j.Refuses.Load()}, nil
	default:
		return runner.Answer{}, errors.New("nobody reads the reports")
	}
}

// Return implements runner.Jobs. The attempt ends with what Returned says.
func (j *Jobs) Return(ctx context.Context, runnerID string, attempt action.Attempt) error {
	if j.Returned != nil {
		j.Returned(attempt)
		return nil
	}
	_, err := j.Report(ctx, runnerID, attempt, action.Failed(action.SystemUnavailable, "%s", attempt.Returned.Reason))
	return err
}

// Bench is a running runner with stores of its own.
type Bench struct {
	Jobs      *Jobs
	Artifacts *artifact.Store
	Logs      *logs.Store
	WorkDir   string
	// Stop ends the runner and waits for it. It is called at the end of the test
	// too.
	Stop func()
}

// Start runs a runner with one executor for the type of the attempts that
// Attempt makes, on a temporary directory. Change adapts its configuration.
func Start(tb testing.TB, executor action.AttemptExecutor, change func(*runner.Config)) *Bench {
	tb.Helper()
	bench, run := Prepare(tb, executor, change)
	run()
	return bench
}

// Prepare makes a runner as Start does, which does nothing before run is called. That has to
// be.
func Prepare(tb testing.TB, executor action.AttemptExecutor, change func(*runner.Config)) (bench *Bench, run func()) {
	tb.Helper()
	dir := tb.TempDir()
	trees, err := blob.Open(context.Background(), blob.DirectoryURL(dir), "artifacts")
	require.NoError(tb, err)
	artifacts := artifact.New(trees, dir)
	bucket, err := blob.Open(context.Background(), "file://"+dir, "logs")
	require.NoError(tb, err)
	logStore := logs.New(bucket.Unsynced(), logs.Config{})
	bench = &Bench{Jobs: NewJobs(), Artifacts: artifacts, Logs: logStore, WorkDir: filepath.Join(dir, "work")}
	registry := action.NewRegistry()
	probe := Attempt("")
	registry.AddAttempt(probe.Action.TypeID(), executor)
	config := runner.Config{
		ID: "test", Slots: 1, Jobs: bench.Jobs, Registry: registry, WorkDir: bench.WorkDir,
		Artifacts: artifacts, Logs: bench.Logs, Lease: time.Minute, Log: hclog.NewNullLogger(),
	}
	if change != nil {
		change(&config)
	}
	bench.WorkDir = config.WorkDir
	r, err := runner.New(config)
	require.NoError(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	bench.Stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			require.NoError(tb, err)
		case <-time.After(time.Minute):
			require.FailNow(tb, "the runner does not stop within a minute")
		}
		require.NoError(tb, bucket.Close())
	})
	tb.Cleanup(bench.Stop)
	return bench, func() { go func() { ended <- r.Run(ctx) }() }
}

// Attempt returns the first attempt of an action with that id, to be completed.
func Attempt(id string) action.Attempt {
	attempt := action.Attempt{
		Scope: action.Scope{
			Account: "default", Pipeline: "web", PipelineVersion: 3,
			ExecutionID: "execution-1", Stage: "Build", ActionExecutionID: id,
		},
		Number: 1,
	}
	attempt.Action.Name = "test"
	attempt.Action.Category = "Test"
	attempt.Action.Owner = "Headrace"
	attempt.Action.Provider = "Test"
	attempt.Action.Version = "1"
	return attempt
}

// Run gives the attempt to the runner and returns its result and log.
func (b *Bench) Run(tb testing.TB, attempt action.Attempt) (action.Result, string) {
	tb.Helper()
	b.Jobs.Give(attempt)
	report := b.Wait(tb)
	require.Equal(tb, attempt.ID(), report.Attempt.ID())
	return report.Result, b.Log(tb, attempt)
}

// Wait returns the next report.
func (b *Bench) Wait(tb testing.TB) Report {
	tb.Helper()
	select {
	case report := <-b.Jobs.Reports:
		return report
	case <-time.After(time.Minute):
		require.FailNow(tb, "the runner reported nothing within a minute")
		return Report{}
	}
}

// Log returns what the attempt's action logged so far.
func (b *Bench) Log(tb testing.TB, attempt action.Attempt) string {
	tb.Helper()
	ctx := context.Background()
	log, err := b.Logs.Open(ctx, attempt.ExecutionID, attempt.ActionExecutionID)
	require.NoError(tb, err)
	defer log.Close()
	var text []byte
	buffer := make([]byte, 64<<10)
	for {
		n, err := log.Read(ctx, buffer, int64(len(text)))
		text = append(text, buffer[:n]...)
		if errors.Is(err, io.EOF) {
			return string(text)
		}
		require.NoError(tb, err)
	}
}
