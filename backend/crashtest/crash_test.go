// Package crashtest kills the real headraced with SIGKILL at many points of a
// run and looks at what is left, lets one or several of them run many executions while
// they are killed, paused and cut off from their database, and sets clients on it that
// misbehave.
package crashtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// points is at how many moments of a run the server is killed.
const points = 20

// patience is how long anything may take before the test calls it stuck.
const patience = time.Minute

// A pipeline with a fetch, parallel commands of both policies, an approval and a
// command at its end is run once undisturbed, to know how long it takes; then
// once for each point of that time, at which the server is killed and started
// again. Nothing may hang, run twice within one attempt or be half there.
func TestKillAtAnyMoment(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.define("crash", s.stages())

	begun := time.Now()
	e := s.run("crash")
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(e).GetStatus())
	whole := time.Since(begun)

	succeeded, lost := 0, 0
	for i := range points {
		e := s.run("crash")
		approved := make(chan struct{})
		ctx, cancel := context.WithTimeout(t.Context(), whole*time.Duration(i+1)/points)
		go func() {
			defer close(approved)
			s.approve(ctx, e)
		}()
		<-ctx.Done()
		s.kill()
		cancel()
		<-approved
		s.start()
		got := s.finish(e)
		switch got.GetStatus() {
		case headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED:
			succeeded++
		case headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED:
			// The only action that may not run again was lost.
			lost++
			require.Equal(t, "RunnerLost", failure(got), "point %d: %v", i, got)
		default:
			require.Failf(t, "a terminal status is expected", "point %d: %v", i, got)
		}
	}
	t.Logf("%d points over %s: %d succeeded, %d failed with a lost runner", points, whole, succeeded, lost)
	require.NotZero(t, succeeded)

	s.stop()
	s.ranOnceAnAttempt()
	s.artifactsAreWhole()
	s.nothingRuns()
}

func failure(e *headracev1.Execution) string {
	for _, stage := range e.GetStages() {
		for _, a := range stage.GetActions() {
			if a.GetError() != nil {
				return a.GetError().GetCode()
			}
		}
	}
	return ""
}

// server is a real headraced with a client.
type server struct {
	t      *testing.T
	binary string
	dir    string
	repo   string
	record string
	grpc   string
	http   string
	// hooks is where deliveries arrive, empty if nothing sends any.
	hooks string
	// wrap is a program with arguments that starts it, if any.
	wrap []string
	// inherited are files that it is started with.
	inherited []*os.File
	// flags are given beside those that every server has; token is the file of a token.
	flags []string
	token string

	// log, where there is one, gets what the processes write, one after the other;
	// output has what the newest wrote.
	log     io.Writer
	process *exec.Cmd
	output  *printed
	// ended is closed when the process has ended, with exit set.
	ended  chan struct{}
	exit   error
	client *client.Client
}

func newServer(t *testing.T) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{
		t: t, binary: filepath.Join(programs.Build(t), "headraced"), dir: filepath.Join(dir, "data"), repo: filepath.Join(dir, "repo"),
		record: filepath.Join(dir, "record"), grpc: freePort(t), http: freePort(t),
	}
	s.token = filepath.Join(s.dir, "admin.token")
	require.NoError(t, os.MkdirAll(s.repo, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(s.repo, "file"), []byte("content\n"), 0o600))
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"add", "."},
		{"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "one"},
	} {
		git := exec.CommandContext(t.Context(), "git", args...)
		git.Dir = s.repo
		out, err := git.CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
	return s
}

// printed is what a server printed. Tests read it while the server runs.
type printed struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (p *printed) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.text.Write(text)
}

func (p *printed) Bytes() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.text.Bytes())
}

func (p *printed) String() string { return string(p.Bytes()) }

// freePort returns an address that nobody uses. Its port is below those that the system gives to
// connections and to listeners on port 0, so that neither takes it before the server listens, or
// while the server is down.
func freePort(t *testing.T) string {
	t.Helper()
	const lowest = 10_000
	first := 32_768
	if data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, err = fmt.Sscan(string(data), &first)
		require.NoError(t, err)
	}
	require.Greater(t, first, lowest, "the system gives out all ports")
	var config net.ListenConfig
	for {
		l, err := config.Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(lowest+rand.IntN(first-lowest))))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		require.NoError(t, err)
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
}

// start starts headraced and waits until it answers.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	require.Eventually(s.t, func() bool {
		select {
		case <-s.ended:
			return true
		default:
		}
		token, err := os.ReadFile(s.token)
		if err != nil {
			return false
		}
		if s.client == nil {
			s.client, err = client.Dial(client.Config{Endpoint: s.grpc, Token: strings.TrimSpace(string(token))}, "crashtest")
			require.NoError(s.t, err)
			s.t.Cleanup(func() { _ = s.client.Close() })
		}
		ctx, cancel := context.WithTimeout(s.t.Context(), time.Second)
		defer cancel()
		_, err = s.client.Server.WhoAmI(ctx, &headracev1.WhoAmIRequest{})
		return err == nil
	}, patience, 10*time.Millisecond, "the server does not answer\n%s", s.output)
	select {
	case <-s.ended:
		require.Failf(s.t, "the server ended when it was started", "%v\n%s", s.exit, s.output)
	default:
	}
}

// launch starts headraced and does not wait.
func (s *server) launch() {
	s.t.Helper()
	s.output = &printed{}
	// Not the test's context: the server is ended by kill and stop.
	args := slices.Concat(s.wrap, []string{
		s.binary, "--data-dir", s.dir, "--grpc-listen", s.grpc, "--http-listen", s.http, "--isolation", "none", "--shutdown-grace", "0s",
	}, s.flags)
	s.process = exec.CommandContext(context.Background(), args[0], args[1:]...)
	var output io.Writer = s.output
	if s.log != nil {
		output = io.MultiWriter(s.output, s.log)
	}
	s.process.Stdout, s.process.Stderr = output, output
	s.process.ExtraFiles = s.inherited
	require.NoError(s.t, s.process.Start())
	process, ended := s.process, make(chan struct{})
	s.ended = ended
	go func() {
		defer close(ended)
		s.exit = process.Wait()
	}()
	s.t.Cleanup(func() {
		// An error means that it has ended.
		_ = process.Process.Kill()
		<-ended
	})
}

func (s *server) kill() {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Kill())
	<-s.ended
}

func (s *server) stop() {
	s.t.Helper()
	require.NoError(s.t, s.process.Process.Signal(os.Interrupt))
	<-s.ended
	require.NoError(s.t, s.exit, "%s", s.output)
}

// stages has a command note when it begins and ends, under its attempt's name.
func (s *server) stages() []*headracev1.Stage {
	note := func(name, lost string) *headracev1.Action {
		return &headracev1.Action{
			Name: name, Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", OnLost: lost,
			InputArtifacts:  []string{"source"},
			OutputArtifacts: []*headracev1.OutputArtifact{{Name: "made-" + name}},
			Commands: []string{
				`echo "$HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT" >> ` + s.record,
				`{ head -c 300000 /dev/zero; echo "$HEADRACE_ACTION_EXECUTION_ID $HEADRACE_ATTEMPT"; } > made; sleep 0.1; test -s file`,
			},
		}
	}
	deploy := note("Deploy", "retry")
	deploy.Category, deploy.InputArtifacts = "Deploy", []string{"source", "made-Retry"}
	return []*headracev1.Stage{
		{Name: "Source", Actions: []*headracev1.Action{{
			Name: "Fetch", Category: "Source", Owner: "Headrace", Provider: "Git", Version: "1",
			Configuration:   map[string]string{"RepositoryUrl": s.repo, "Branch": "main"},
			OutputArtifacts: []*headracev1.OutputArtifact{{Name: "source"}},
		}}},
		{Name: "Build", Actions: []*headracev1.Action{note("Retry", "retry"), note("Fail", "")}},
		{Name: "Approve", Actions: []*headracev1.Action{{
			Name: "Manual", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1",
		}}},
		{Name: "Deploy", Actions: []*headracev1.Action{deploy}},
	}
}

// alone lets whoever starts an execution of an account approve it too: these tests have
// one client.
func (s *server) alone(account string) {
	s.t.Helper()
	_, err := s.client.ApprovalRules.CreateApprovalRule(s.t.Context(), &headracev1.CreateApprovalRuleRequest{ApprovalRule: &headracev1.ApprovalRule{
		Name: client.ApprovalRuleName(account, "alone"), Selector: &headracev1.ApprovalSelector{Pipelines: []string{"*"}},
		MinimumCount: 1, AllowStarter: true,
	}})
	if client.Reason(err) != pipeline.ReasonAlreadyExists {
		require.NoError(s.t, err)
	}
}

func (s *server) define(name string, stages []*headracev1.Stage) {
	s.t.Helper()
	s.alone("default")
	_, err := s.client.Pipelines.CreatePipeline(s.t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", name), Definition: &headracev1.PipelineDefinition{Stages: stages},
	}})
	require.NoError(s.t, err)
}

func (s *server) run(name string) string {
	s.t.Helper()
	resp, err := s.client.Executions.StartExecution(s.t.Context(), &headracev1.StartExecutionRequest{
		Pipeline: client.PipelineName("default", name),
	})
	require.NoError(s.t, err)
	return resp.GetExecution().GetName()
}

// approve tries until the execution took the approval or the context ends.
func (s *server) approve(ctx context.Context, execution string) {
	for ctx.Err() == nil {
		_, err := s.client.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{Name: execution, Approve: true})
		if err == nil {
			return
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// finish approves where it is needed and waits for the end.
func (s *server) finish(execution string) *headracev1.Execution {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var e *headracev1.Execution
	require.Eventually(s.t, func() bool {
		resp, err := s.client.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: execution})
		if status.Code(err) == codes.Unavailable {
			return false
		}
		require.NoError(s.t, err)
		e = resp.GetExecution()
		if e.GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS {
			return true
		}
		if stages := e.GetStages(); stages[len(stages)-1].GetStage() == "Approve" {
			s.approve(ctx, execution)
		}
		return false
	}, patience, 10*time.Millisecond, "execution %s is stuck: %v\n%s", execution, e, s.output)
	return e
}

func (s *server) ranOnceAnAttempt() {
	s.t.Helper()
	data, err := os.ReadFile(s.record)
	require.NoError(s.t, err)
	seen := make(map[string]bool)
	for line := range strings.Lines(string(data)) {
		require.False(s.t, seen[line], "ran twice in one attempt: %s", line)
		seen[line] = true
	}
	s.t.Logf("%d attempts of commands ran", len(seen))
}

// artifactsAreWhole checks every stored artifact against its name, and that
// nothing but artifacts is there.
func (s *server) artifactsAreWhole() {
	s.t.Helper()
	root, n := filepath.Join(s.dir, "artifacts"), 0
	require.NoError(s.t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if name := strings.ReplaceAll(rel, string(filepath.Separator), ""); !strings.HasSuffix(name, hex.EncodeToString(sum[:])) {
			return fmt.Errorf("%s is not what its name says", path)
		}
		n++
		return nil
	}))
	require.NotZero(s.t, n)
	s.t.Logf("%d artifacts are whole", n)
}

// nothingRuns looks for processes of the data directory.
func (s *server) nothingRuns() {
	s.t.Helper()
	environments, err := filepath.Glob("/proc/[0-9]*/environ")
	require.NoError(s.t, err)
	for _, path := range environments {
		// Processes of others cannot be read, and those that ended are gone.
		data, err := os.ReadFile(path)
		if err == nil {
			require.NotContains(s.t, string(data), s.dir, "%s is of a process that was left behind", path)
		}
	}
}
