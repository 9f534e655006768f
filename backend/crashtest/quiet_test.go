package crashtest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// quietStages have ten actions each of which prints a line, which is not in the definition.
func (s *server) quietStages() []*headracev1.Stage {
	stage := &headracev1.Stage{Name: "Quiet"}
	for i := range 10 {
		stage.Actions = append(stage.Actions, &headracev1.Action{
			Name: "A" + strconv.Itoa(i), Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", OnLost: "retry", RunOrder: int32(i + 1),
			Commands: []string{`printf 'qui%s-%s\n' et "$HEADRACE_ATTEMPT"`},
		})
	}
	return []*headracev1.Stage{s.stages()[0], stage}
}

// The logs of quick actions are in the commits of their results. Wherever the server is killed,
// the log of each attempt that ended is there once, and nobody can read it in the database.
func TestKillAmongQuietActions(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.flags = []string{"--storage-key", s.newKey("storage.key")}
	s.start()
	s.define("quiet", s.quietStages())
	begun := time.Now()
	executions := []string{s.run("quiet")}
	s.finish(executions[0])
	whole := time.Since(begun)

	for i := range points {
		e := s.run("quiet")
		executions = append(executions, e)
		// Part of what is done to the server.
		<-time.After(whole * time.Duration(i+1) / points)
		s.kill()
		s.start()
		require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(e).GetStatus())
	}
	s.stop()
	s.start()
	retried := 0
	for _, e := range executions {
		actions := s.get(e).GetStages()[1].GetActions()
		require.Len(t, actions, 10)
		for _, a := range actions {
			attempt := int(a.GetAttempt())
			if attempt > 1 {
				retried++
			}
			text := s.logOf(e, a.GetId())
			require.Equal(t, 1, strings.Count(text, "quiet-"+strconv.Itoa(attempt)+"\n"), "the log of attempt %d:\n%s", attempt, text)
			for earlier := 1; earlier < attempt; earlier++ {
				require.LessOrEqual(t, strings.Count(text, "quiet-"+strconv.Itoa(earlier)+"\n"), 1, text)
			}
			require.Equal(t, attempt > 1, strings.Contains(text, "--- attempt "+strconv.Itoa(attempt)+" ---\n"), text)
		}
	}
	s.stop()

	objects := 0
	require.NoError(t, filepath.WalkDir(filepath.Join(s.dir, "logs"), func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			objects++
		}
		return err
	}))
	// Under load some commits take longer than the flush delay.
	require.Less(t, objects, 10*len(executions)/2)
	database, err := filepath.Glob(filepath.Join(s.dir, "headrace.db*"))
	require.NoError(t, err)
	for _, file := range database {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotContains(t, string(data), "quiet-", file)
	}
	t.Logf("%d actions, %d of them more than once, left %d objects", 10*len(executions), retried, objects)
}
