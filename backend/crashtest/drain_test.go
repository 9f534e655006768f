package crashtest

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// A server that is told to stop ends what runs on it and hands on the rest: nothing is
// lost, where a lost attempt would fail its execution.
func TestStopHandsOn(t *testing.T) {
	t.Parallel()
	const executions = 8
	r := newReplicas(t, 2)
	first, second := r.servers[0], r.servers[1]
	first.flags = append(first.flags, "--shutdown-grace", "5m")
	first.stop()
	first.start()
	build := &headracev1.Stage{Name: "Build"}
	for i, name := range []string{"One", "Two", "Three", "Four"} {
		build.Actions = append(build.Actions, &headracev1.Action{
			Name: name, Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", RunOrder: int32(i + 1),
			InputArtifacts: []string{"source"}, Commands: []string{"sleep 0.3", `echo "$HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT" >> ` + first.record},
		})
	}
	_, err := first.client.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", "drained"),
		Definition: &headracev1.PipelineDefinition{
			ExecutionMode: headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL, Stages: []*headracev1.Stage{first.source(), build},
		},
	}})
	require.NoError(t, err)
	var names []string
	for range executions {
		names = append(names, first.run("drained"))
	}
	// It has begun, and there is more to do than what runs.
	require.Eventually(t, func() bool {
		done, err := os.ReadFile(first.record)
		return err == nil && len(done) > 0
	}, patience, 10*time.Millisecond)
	first.stop()
	for _, name := range names {
		e := second.finish(name)
		require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, e.GetStatus(), "%v\n%s\n%s", e, first.output, second.output)
	}
	first.ranOnceAnAttempt()
	second.stop()
}

// A stop does not wait for processes that ignore SIGTERM longer than the grace: they are killed, none
// is left, and the next start does with their actions what their policies say.
func TestProcessesThatIgnoreTheStopAreKilled(t *testing.T) {
	t.Parallel()
	const grace = 3 * time.Second
	s := newServer(t)
	s.flags = []string{"--shutdown-grace", grace.String(), "--stop-grace", "1s"}
	s.start()
	started := s.record + ".pids"
	stubborn := func(name, lost string) *headracev1.Action {
		return &headracev1.Action{
			Name: name, Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", OnLost: lost, InputArtifacts: []string{"source"},
			Commands: []string{
				`echo "$HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT" >> ` + s.record,
				`test "$HEADRACE_ATTEMPT" = 1 || exit 0`,
				// What it starts ignores the signal too.
				`trap '' TERM`,
				`env -i setsid sleep 600 & echo $! >> ` + started,
				`echo $$ >> ` + started,
				`while :; do sleep 0.05; done`,
			},
		}
	}
	s.define("stubborn", []*headracev1.Stage{s.source(), {Name: "Build", Actions: []*headracev1.Action{stubborn("Retry", "retry"), stubborn("Fail", "")}}})
	name := s.run("stubborn")
	pids := eventually(t, "both actions run", func() (pids []int, ok bool) {
		text, err := os.ReadFile(started)
		if err != nil {
			return nil, false
		}
		for line := range strings.Lines(string(text)) {
			pid, err := strconv.Atoi(strings.TrimSpace(line))
			require.NoError(t, err)
			pids = append(pids, pid)
		}
		return pids, len(pids) == 4
	})
	begun := time.Now()
	require.NoError(t, s.process.Process.Signal(syscall.SIGTERM))
	select {
	case <-s.ended:
	case <-time.After(patience):
		require.FailNow(t, "the server does not stop", "%s", s.output)
	}
	took := time.Since(begun)
	require.NoError(t, s.exit, "%s", s.output)
	require.GreaterOrEqual(t, took, grace, "they had the whole grace")
	// The rest is the end of the server itself, on a machine that may be busy.
	require.Less(t, took, grace+20*time.Second)
	for _, pid := range pids {
		// One that has ended may still wait for its new parent to take note.
		stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
		require.True(t, err != nil || strings.Contains(string(stat), ") Z "), "process %d outlived the server: %s", pid, stat)
	}
	t.Logf("the server ended %s after SIGTERM, with a grace of %s", took.Round(time.Millisecond), grace)

	s.start()
	e := s.finish(name)
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED, e.GetStatus())
	for _, a := range e.GetStages()[1].GetActions() {
		switch a.GetAction() {
		case "Retry":
			require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, a.GetStatus(), "%v", a)
			require.EqualValues(t, 2, a.GetAttempt())
		case "Fail":
			require.Equal(t, "RunnerLost", a.GetError().GetCode(), "%v", a)
			require.EqualValues(t, 1, a.GetAttempt())
		}
	}
	s.stop()
	s.ranOnceAnAttempt()
}
