package runner_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner/runnertest"
)

// removableStorage is a storage in a directory, which a test makes unavailable by giving the
// directory another name.
type removableStorage struct {
	dir    string
	checks atomic.Int32
}

func (s *removableStorage) Err(context.Context) error {
	_, err := os.Stat(s.dir)
	return err
}

func (s *removableStorage) Check(ctx context.Context) error {
	s.checks.Add(1)
	return s.Err(ctx)
}

func (s *removableStorage) remove() error  { return os.Rename(s.dir, s.dir+"-away") }
func (s *removableStorage) restore() error { return os.Rename(s.dir+"-away", s.dir) }

// startOnStorage starts a runner on a storage of its own.
func startOnStorage(t *testing.T, run executor, change ...func(*runner.Config)) (*removableStorage, *runnertest.Bench) {
	t.Helper()
	storage := &removableStorage{}
	return storage, runnertest.Start(t, run, func(c *runner.Config) {
		storage.dir = filepath.Join(filepath.Dir(c.WorkDir), "artifacts")
		c.Storage = storage
		for _, further := range change {
			further(c)
		}
	})
}

// awaitCheck waits until the runner checked whether the storage works again.
func (s *removableStorage) awaitCheck(t *testing.T) {
	t.Helper()
	before := s.checks.Load()
	require.Eventually(t, func() bool { return s.checks.Load() > before+1 }, time.Minute, time.Millisecond)
}

func TestNothingBeginsWhileTheStorageIsAway(t *testing.T) {
	t.Parallel()
	var ran atomic.Int32
	storage, bench := startOnStorage(t, func(context.Context, action.Attempt, action.Workspace) action.Result {
		ran.Add(1)
		return action.Result{}
	})
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Nil(t, bench.Wait(t).Result.Failure)
	require.NoError(t, storage.remove())
	// One slot waits for work already, and would take this.
	bench.Jobs.Give(runnertest.Attempt("b"))
	storage.awaitCheck(t)
	require.EqualValues(t, 1, ran.Load())
	require.NoError(t, storage.restore())
	require.Nil(t, bench.Wait(t).Result.Failure)
	require.EqualValues(t, 2, ran.Load())
}

// storing makes a file, and stores it as an artifact once prepare returned.
func storing(prepare func(error)) executor {
	return func(ctx context.Context, _ action.Attempt, workspace action.Workspace) action.Result {
		prepare(workspace.Root.WriteFile(filepath.Join(action.FilesDir, "made"), []byte("made"), 0o600))
		stored, err := workspace.Artifacts.Store(ctx, "made", workspace.Root, action.Files{Dir: action.FilesDir})
		if err != nil {
			return action.Failed(action.SystemUnavailable, "%v", err)
		}
		return action.Result{Artifacts: []action.Artifact{stored.Artifact}}
	}
}

func TestWhatWasDoneWaitsForTheStorage(t *testing.T) {
	t.Parallel()
	var storage *removableStorage
	away := make(chan error, 1)
	var bench *runnertest.Bench
	storage, bench = startOnStorage(t, storing(func(err error) { away <- errors.Join(err, storage.remove()) }))
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.NoError(t, <-away)
	storage.awaitCheck(t)
	require.NoError(t, storage.restore())
	result := bench.Wait(t).Result
	require.Nil(t, result.Failure)
	_, err := bench.Artifacts.Tree(t.Context(), result.Artifacts[0].Digest)
	require.NoError(t, err)
}

// shortlyAway is a storage that is back whenever somebody asks for it.
type shortlyAway struct{ *removableStorage }

func (s shortlyAway) Check(ctx context.Context) error {
	s.checks.Add(1)
	if s.Err(ctx) == nil {
		return nil
	}
	return s.restore()
}

// A storage that was away for a moment answers again before the runner can ask whether it was.
func TestStorageThatWasAwayForAMomentFailsNothing(t *testing.T) {
	t.Parallel()
	storage := &removableStorage{}
	bench := runnertest.Start(t, storing(func(err error) {
		require.NoError(t, errors.Join(err, storage.remove()))
	}), func(c *runner.Config) {
		storage.dir = filepath.Join(filepath.Dir(c.WorkDir), "artifacts")
		c.Storage = shortlyAway{storage}
	})
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Nil(t, bench.Wait(t).Result.Failure)
	require.Positive(t, storage.checks.Load())
}

// A stop does not wait for a storage.
func TestStopWhileTheStorageIsAway(t *testing.T) {
	t.Parallel()
	storage, bench := startOnStorage(t, func(context.Context, action.Attempt, action.Workspace) action.Result { return action.Result{} })
	require.NoError(t, storage.remove())
	bench.Jobs.Give(runnertest.Attempt("a"))
	storage.awaitCheck(t)
	bench.Stop()
	require.Empty(t, bench.Jobs.Reports)
}

// endless are logs whose ends cannot be stored.
type endless struct{}

func (endless) Writer(*action.Attempt) action.Log { return endless{} }
func (endless) Write(p []byte) (int, error)       { return len(p), nil }
func (endless) Small() *action.SmallLog           { return nil }
func (endless) Kept()                             {}
func (endless) Close() error                      { return errors.New("the bucket is away") }

func TestEndOfALogThatIsMissingIsTold(t *testing.T) {
	t.Parallel()
	for given, told := range map[string]action.Result{
		"":     {Summary: "the end of its log could not be stored"},
		"done": {Summary: "done; the end of its log could not be stored"},
	} {
		bench := runnertest.Start(t, executor(func(context.Context, action.Attempt, action.Workspace) action.Result {
			return action.Result{Summary: given}
		}), func(c *runner.Config) { c.Logs = endless{} })
		bench.Jobs.Give(runnertest.Attempt("a"))
		require.Equal(t, told, bench.Wait(t).Result)
	}
	bench := runnertest.Start(t, executor(func(context.Context, action.Attempt, action.Workspace) action.Result {
		return action.Failed(action.JobFailed, "exit code 1")
	}), func(c *runner.Config) { c.Logs = endless{} })
	bench.Jobs.Give(runnertest.Attempt("a"))
	require.Equal(t, "exit code 1; the end of its log could not be stored", bench.Wait(t).Result.Failure.Message)
}
