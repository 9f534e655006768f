package crashtest

import (
	"database/sql"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// restoredFrom returns a server, not started, on a new data directory with what
// operations.md says to put there.
func (s *server) restoredFrom(file string) *server {
	s.t.Helper()
	r := *s
	r.dir, r.grpc, r.http, r.client = s.dir+"-restored", freePort(s.t), freePort(s.t), nil
	r.token = filepath.Join(r.dir, "admin.token")
	r.t.Log(r.does("restore", "--from", file, "--data-dir", r.dir))
	for _, name := range []string{"artifacts", "logs", "identity"} {
		require.NoError(s.t, os.CopyFS(filepath.Join(r.dir, name), os.DirFS(filepath.Join(s.dir, name))))
	}
	token, err := os.ReadFile(s.token)
	require.NoError(s.t, err)
	require.NoError(s.t, os.WriteFile(r.token, token, 0o600))
	return &r
}

// A backup that is made while executions start and run has all that was answered
// before, and a server goes on from it.
func TestBackupWhileTheServerRuns(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	goes, wait := s.gate()
	source := s.stages()[0]
	s.defineMode("lost", 0, source, shell("Wait", wait))
	lost := s.run("lost")
	s.reaches(lost, "Wait")
	s.define("whole", s.stages())
	require.Equal(t, succeeded, s.finish(s.run("whole")).GetStatus())
	waits := s.run("whole")
	s.reaches(waits, "Approve")
	s.defineMode("load", headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL, source, shell("Build", "true"))

	var mu sync.Mutex
	var started []string
	var load sync.WaitGroup
	stop := make(chan struct{})
	known := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return append([]string(nil), started...)
	}
	for range 3 {
		load.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := s.client.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", "load")})
				if err != nil {
					t.Errorf("start an execution: %v", err)
					return
				}
				mu.Lock()
				started = append(started, resp.GetExecution().GetName())
				mu.Unlock()
				// At most 50 may run at once, so the next one waits for the end of this.
				events, err := s.client.Executions.WatchExecution(t.Context(), &headracev1.WatchExecutionRequest{Name: resp.GetExecution().GetName()})
				for err == nil {
					_, err = events.Recv()
				}
				if !errors.Is(err, io.EOF) {
					t.Errorf("wait for the end of an execution: %v", err)
					return
				}
			}
		})
	}
	require.Eventually(t, func() bool { return len(known()) > 10 }, patience, time.Millisecond)
	file := filepath.Join(t.TempDir(), "headrace.backup")
	before := known()
	t.Log(s.does("backup", "--data-dir", s.dir, "--to", file))
	after := known()
	s.refuses("exists: choose another file", "backup", "--data-dir", s.dir, "--to", file)
	s.refuses("has no headrace.db", "backup", "--data-dir", t.TempDir(), "--to", file+"2")
	s.refuses("is in use by another headraced", "restore", "--data-dir", s.dir, "--from", file)
	close(stop)
	load.Wait()
	t.Logf("%d executions were started before, %d meanwhile", len(before), len(after)-len(before))
	s.kill()
	s.refuses("has a headrace.db", "restore", "--data-dir", s.dir, "--from", file)
	part := filepath.Join(t.TempDir(), "part")
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(part, data[:len(data)/2], 0o600))
	s.refuses("not all there", "restore", "--data-dir", s.dir+"-restored", "--from", part)

	r := s.restoredFrom(file)
	db, err := sql.Open("sqlite", "file:"+filepath.Join(r.dir, "headrace.db")+"?mode=ro&immutable=1")
	require.NoError(t, err)
	var whole string
	require.NoError(t, db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&whole))
	require.NoError(t, db.Close())
	require.Equal(t, "ok", whole)
	r.start()
	for _, name := range append(before, lost, waits) {
		require.Equal(t, name, r.get(name).GetName())
	}
	for _, name := range before {
		require.Equal(t, succeeded, r.ends(name))
	}
	require.NoError(t, os.WriteFile(goes, nil, 0o600))
	require.Equal(t, succeeded, r.ends(lost))
	require.EqualValues(t, 2, r.get(lost).GetStages()[1].GetActions()[0].GetAttempt(), "the attempt that ran is lost")
	require.Equal(t, succeeded, r.finish(waits).GetStatus(), "what waited goes on, with the artifacts of before")
	require.Equal(t, succeeded, r.finish(r.run("whole")).GetStatus())
	r.stop()
	r.nothingRuns()
}
