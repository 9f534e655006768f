package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/cli"
)

func TestRunWithoutFollow(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	got := f.run(t, "run", "web", "--var", "Color=red", "--var", "Note=a=b", "--request-id", "r1")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "started web#3 ("+runID+") on version 4")
	require.Contains(t, got.stdout, "headrace execution watch web#3")
	request := sent[*headracev1.StartExecutionRequest](t, f, "StartExecution")
	require.Equal(t, map[string]string{"Color": "red", "Note": "a=b"}, request.GetVariables())
	require.Equal(t, "r1", request.GetRequestId())
}

func TestFollow(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		prepare func(*fake)
		code    int
		want    []string
	}{
		"succeeded": {(*fake).succeeded, cli.ExitOK, []string{
			"  STARTED     web#3                     by bob\n", "  SUCCEEDED   Source/Checkout           fetched 0123456\n",
			"  SUCCEEDED   Build/Compile (attempt 2)\n", "web#3  Succeeded in 12s\n",
		}},
		"failed": {(*fake).failed, cli.ExitFailed, []string{
			"web#3  Failed in 12s: stage Build failed\n", "Build/Compile failed with JobFailed: go build exited with 1",
			"its log: headrace logs web#3 Build/Compile",
		}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			test.prepare(f)
			for _, args := range [][]string{{"run", "web", "--follow"}, {"execution", "watch", "web#3"}} {
				got := f.run(t, args...)
				require.Equal(t, test.code, got.code, got.stderr)
				for _, want := range test.want {
					require.Contains(t, got.stdout, want)
				}
				require.NotContains(t, got.stdout, "\x1b")
			}
		})
	}
}

func TestFollowJSONIsOneObjectALine(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.failed()
	got := f.run(t, "run", "web", "--follow", "-o", "json")
	require.Equal(t, cli.ExitFailed, got.code)
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	require.Len(t, lines, len(f.events)+1)
	for i, line := range lines {
		var object struct {
			Event     *struct{ Position string }
			Execution *struct{ Status string }
		}
		require.NoError(t, json.Unmarshal([]byte(line), &object))
		require.Equal(t, i == len(f.events), object.Execution != nil, "the execution comes last")
	}
}

// TestFollowTellsHowToApprove runs the command that the waiting one prints.
func TestFollowTellsHowToApprove(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	output := &watched{want: "approve with: ", seen: make(chan string, 1)}
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), cli.Process{
			Args: []string{"run", "web", "--follow"}, Stdout: output, Stderr: output,
			Getenv: func(name string) string { return map[string]string{"HEADRACE_ENDPOINT": f.endpoint}[name] },
			Now:    func() time.Time { return start.Add(time.Minute) },
		})
	}()
	line := <-output.seen
	require.Equal(t, `headrace approve web#3 --stage Approve --action Approve --approval a4 --comment "..."`, line)
	require.Contains(t, output.text(), "WAITING     Approve/Approve           1 of 1 approvals is missing")
	require.Contains(t, output.text(), "rule prod: 0 of 1 from alice, bob, with a comment, not by the starter")

	got := f.run(t, "approve", "web#3", "--stage", "Approve", "--action", "Approve", "--comment", "looks good")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "approved Approve/Approve of web#3\n  source Checkout: ", "nobody was asked, so it says what was approved")
	require.Contains(t, got.stdout, "\n  rule prod: 1 of 1")
	request := sent[*headracev1.DecideApprovalRequest](t, f, "DecideApproval")
	require.True(t, request.GetApprove())
	require.Equal(t, "looks good", request.GetComment())
	require.Equal(t, cli.ExitOK, <-done)
	require.Equal(t, 1, strings.Count(output.text(), "WAITING"), "a wait is told once")
}

func TestExplainAndReject(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	got := f.run(t, "explain", "web", "--account", "default")
	require.Equal(t, cli.ExitOK, got.code)
	require.Contains(t, got.stdout, "Approve/Approve: 1 of 1 approvals is missing (for 1m0s)\n")
	require.Contains(t, got.stdout, `--comment "..." --account default`, "the command works with these flags")

	got = f.run(t, "reject", "web")
	require.Equal(t, cli.ExitOK, got.code)
	require.Contains(t, got.stdout, "rejected Approve/Approve of web#3")
	require.False(t, sent[*headracev1.DecideApprovalRequest](t, f, "DecideApproval").GetApprove())
}

func TestNothingToApprove(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	got := f.run(t, "approve", "web")
	require.Equal(t, cli.ExitFailed, got.code)
	require.Contains(t, got.stderr, "no execution of web is in progress; the newest, web#3, is Succeeded")
	got = f.run(t, "approve", "web#3")
	require.Equal(t, cli.ExitFailed, got.code)
	require.Contains(t, got.stderr, "web#3 is not waiting for an approval: it is Succeeded")
	require.Empty(t, f.requests["DecideApproval"])
}

func TestWatchSurvivesRestarts(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.cuts = []int64{2, 3}
	got := f.run(t, "execution", "watch", "web")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Equal(t, 2, strings.Count(got.stderr, "connecting again in 1ms (1 of 12)"), got.stderr)
	require.Equal(t, 1, strings.Count(got.stdout, "fetched 0123456"), "no event is shown twice")
	require.Equal(t, 1, strings.Count(got.stdout, "Build/Compile (attempt 2)"), "no event is left out")
}

func TestWatchGivesUp(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.succeeded()
	f.cuts = []int64{-1}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got := f.runIn(ctx, cli.Process{Args: []string{"execution", "watch", "web"}})
	require.Equal(t, cli.ExitNoAccess, got.code)
	require.Contains(t, got.stderr, "(12 of 12)")
	require.Contains(t, got.stderr, "cannot reach headraced")
}

func TestWatchEndsOnRefusal(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	f.fail["ExplainExecution"] = status.Error(codes.PermissionDenied, "the role was taken away")
	got := f.run(t, "execution", "watch", "web")
	require.Equal(t, cli.ExitNoAccess, got.code)
	require.Contains(t, got.stderr, "the role was taken away")
}

func TestInterruptLeavesTheExecution(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	output := &watched{want: "approve with: ", seen: make(chan string, 1)}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(ctx, cli.Process{
			Args: []string{"execution", "watch", "web"}, Stdout: output, Stderr: output,
			Getenv: func(name string) string { return map[string]string{"HEADRACE_ENDPOINT": f.endpoint}[name] },
		})
	}()
	<-output.seen
	cancel()
	require.Equal(t, cli.ExitInterrupted, <-done)
	require.Contains(t, output.text(), "web#3 goes on; watch it with: headrace execution watch web#3")
}

func TestLiveView(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.failed()
	const width, height = 40, 14
	got := f.runIn(t.Context(), cli.Process{
		Args:     []string{"execution", "watch", "web"},
		Terminal: func() (int, int, bool) { return width, height, true },
	})
	require.Equal(t, cli.ExitFailed, got.code, got.stderr)
	frames := strings.Split(got.stdout, "\r\x1b[J")
	last := strings.Split(strings.TrimSuffix(frames[len(frames)-1], "\n"), "\n")
	rows := 0
	for _, line := range last {
		hint := strings.Contains(line, "failed with") || strings.Contains(line, "headrace ") || strings.Contains(line, "web#3  Failed in")
		for _, color := range []string{"\x1b[31m", "\x1b[32m", "\x1b[34m", "\x1b[0m"} {
			line = strings.ReplaceAll(line, color, "")
		}
		require.NotContains(t, line, "\x1b")
		if length := len([]rune(line)); hint {
			rows += (length + width - 1) / width
		} else {
			require.Less(t, length, width)
			rows++
		}
	}
	require.LessOrEqual(t, rows, height-1)
	require.Contains(t, got.stdout, "its log: headrace logs web#3 Build/Compile\n", "a command is whole")
	require.Contains(t, got.stdout, "\x1b[31m✗\x1b[0m Compile (attempt 2)")
	require.Contains(t, frames[len(frames)-1], "web#3  Failed in 12s")
}

func TestStop(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	got := f.run(t, "execution", "stop", "web", "--abandon", "--reason", "wrong branch")
	require.Equal(t, cli.ExitOK, got.code, got.stderr)
	require.Contains(t, got.stdout, "web#3 is Stopping")
	request := sent[*headracev1.StopExecutionRequest](t, f, "StopExecution")
	require.True(t, request.GetAbandon())
	require.Equal(t, "wrong branch", request.GetReason())
}

func TestLogs(t *testing.T) {
	t.Parallel()
	const all = "==> Source/Checkout\ncloning\ndone\n==> Build/Compile\ncompiling\nok\n"
	tests := map[string]struct {
		args   []string
		cuts   []int64
		code   int
		stdout string
		stderr string
	}{
		"all":                {args: []string{"web"}, stdout: all},
		"all, followed":      {args: []string{"web", "-f"}, stdout: all},
		"one":                {args: []string{"web", "Compile"}, stdout: "compiling\nok\n"},
		"one, with stage":    {args: []string{"web", "Source/Checkout"}, stdout: "cloning\ndone\n"},
		"broken off":         {args: []string{"web", "Compile"}, cuts: []int64{4, 0, 3}, stdout: "compiling\nok\n", stderr: "trying again"},
		"ambiguous":          {args: []string{"web", "Checkout"}, code: cli.ExitUsage, stderr: "use one of Source/Checkout, Build/Checkout"},
		"unknown":            {args: []string{"web", "Deploy"}, code: cli.ExitFailed, stderr: "it has Source/Checkout, Build/Compile"},
		"before any started": {args: []string{"web#1", "Deploy"}, code: cli.ExitFailed, stderr: "has not started an action yet"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			f.succeeded()
			f.logCuts = test.cuts
			got := f.run(t, append([]string{"logs"}, test.args...)...)
			require.Equal(t, test.code, got.code, got.stderr)
			require.Equal(t, test.stdout, got.stdout)
			require.Contains(t, got.stderr, test.stderr)
		})
	}
}

func TestLogsFollowUntilTheExecutionEnds(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	f.waits()
	output := &watched{want: "ok", seen: make(chan string, 1)}
	done := make(chan int, 1)
	go func() {
		done <- cli.Run(t.Context(), cli.Process{
			Args: []string{"logs", "web", "-f"}, Stdout: output, Stderr: output,
			Getenv: func(name string) string { return map[string]string{"HEADRACE_ENDPOINT": f.endpoint}[name] },
		})
	}()
	<-output.seen
	require.Equal(t, cli.ExitOK, f.run(t, "approve", "web").code)
	require.Equal(t, cli.ExitOK, <-done)
	require.Equal(t, 1, strings.Count(output.text(), "==> Build/Compile"))
}

// watched is an output that tells when the rest of a line after a text came.
type watched struct {
	want string
	seen chan string

	mu   sync.Mutex
	buf  bytes.Buffer
	told bool
}

func (w *watched) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.buf.Write(data)
	if _, rest, ok := strings.Cut(w.buf.String(), w.want); ok && !w.told {
		if line, _, whole := strings.Cut(rest, "\n"); whole {
			w.told = true
			w.seen <- line
		}
	}
	return n, err
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
