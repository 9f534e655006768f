package crashtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

const (
	succeeded = headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED
	failed    = headracev1.ExecutionStatus_EXECUTION_STATUS_FAILED
)

// command runs headraced for one operation.
func (s *server) command(args ...string) (string, error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, s.binary, args...).CombinedOutput()
	return string(out), err
}

// refuses runs headraced for an operation that it refuses in these words.
func (s *server) refuses(words string, args ...string) {
	s.t.Helper()
	out, err := s.command(args...)
	require.Error(s.t, err, out)
	require.Contains(s.t, out, words)
}

func (s *server) does(args ...string) string {
	s.t.Helper()
	out, err := s.command(args...)
	require.NoError(s.t, err, out)
	return out
}

func must[T any](t *testing.T) func(T, error) T {
	t.Helper()
	return func(v T, err error) T {
		t.Helper()
		require.NoError(t, err)
		return v
	}
}

func (s *server) get(name string) *headracev1.Execution {
	s.t.Helper()
	resp, err := s.client.Executions.GetExecution(s.t.Context(), &headracev1.GetExecutionRequest{Name: name})
	require.NoError(s.t, err)
	return resp.GetExecution()
}

// reaches waits until the execution is in a stage.
func (s *server) reaches(name, stage string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		stages := s.get(name).GetStages()
		return len(stages) > 0 && stages[len(stages)-1].GetStage() == stage && len(stages[len(stages)-1].GetActions()) > 0
	}, patience, 10*time.Millisecond, "%s does not come to %s", name, stage)
}

// ends waits for the end of an execution that nobody needs to approve.
func (s *server) ends(name string) headracev1.ExecutionStatus {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		return s.get(name).GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS
	}, 3*patience, 50*time.Millisecond, "%s does not end", name)
	return s.get(name).GetStatus()
}

func (s *server) defineMode(name string, mode headracev1.ExecutionMode, stages ...*headracev1.Stage) {
	s.t.Helper()
	s.alone("default")
	_, err := s.client.Pipelines.CreatePipeline(s.t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", name), Definition: &headracev1.PipelineDefinition{ExecutionMode: mode, Stages: stages},
	}})
	require.NoError(s.t, err)
}

// person makes a token of an approver and returns its client.
func (s *server) person(name string) *client.Client {
	s.t.Helper()
	resp, err := s.client.Accounts.CreateToken(s.t.Context(), &headracev1.CreateTokenRequest{Token: &headracev1.Token{
		Principal: name, Bindings: []*headracev1.RoleBinding{{Account: "default", Role: headracev1.Role_ROLE_APPROVER}},
	}})
	require.NoError(s.t, err)
	c, err := client.Dial(client.Config{Endpoint: s.grpc, Token: resp.GetSecret()}, "crashtest")
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// shell is a stage with one action, which is tried again where it is lost.
func shell(name string, lines ...string) *headracev1.Stage {
	return &headracev1.Stage{Name: name, Actions: []*headracev1.Action{{
		Name: name, Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", OnLost: "retry",
		InputArtifacts: []string{"source"}, Commands: lines,
	}}}
}

// gate returns a file, and a line that waits for it, as long as the test runs.
func (s *server) gate() (file, line string) {
	s.t.Helper()
	dir := s.t.TempDir()
	file = filepath.Join(dir, "open")
	return file, "while [ -d '" + dir + "' ] && [ ! -e '" + file + "' ]; do sleep 0.1; done"
}

// soon is a window that is closed and opens within the next 80 seconds, for an hour.
func soon(now time.Time) string {
	open := now.Add(20 * time.Second).Truncate(time.Minute).Add(time.Minute)
	var minutes []string
	for m := range 60 {
		if m != open.Add(-time.Minute).Minute() && m != open.Add(-2*time.Minute).Minute() {
			minutes = append(minutes, fmt.Sprint(m))
		}
	}
	return "* " + strings.Join(minutes, ",") + " * ? * *"
}

// events reads events until the end of the execution, or until none comes any more.
func (s *server) events(name string, after int64) (events []*headracev1.Event) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	defer cancel()
	stream, err := s.client.Executions.WatchExecution(ctx, &headracev1.WatchExecutionRequest{Name: name, AfterPosition: after})
	require.NoError(s.t, err)
	for {
		idle := time.AfterFunc(2*time.Second, cancel)
		got, err := stream.Recv()
		idle.Stop()
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return events
		}
		require.NoError(s.t, err)
		events = append(events, got.GetEvent())
	}
}

// answers are what the API tells of everything that stands still.
func (s *server) answers(pipelines, executions []string) map[string]string {
	s.t.Helper()
	ctx, told := s.t.Context(), make(map[string]string)
	tell := func(what string) func(proto.Message, error) {
		return func(m proto.Message, err error) {
			s.t.Helper()
			require.NoError(s.t, err, what)
			told[what] = protojson.MarshalOptions{Multiline: true}.Format(m)
		}
	}
	note := func(what string, m proto.Message, err error) { tell(what)(m, err) }
	accounts, err := s.client.Accounts.ListAccounts(ctx, &headracev1.ListAccountsRequest{})
	note("accounts", accounts, err)
	tokens, err := s.client.Accounts.ListTokens(ctx, &headracev1.ListTokensRequest{})
	note("tokens", tokens, err)
	rules, err := s.client.ApprovalRules.ListApprovalRules(ctx, &headracev1.ListApprovalRulesRequest{Parent: client.AccountName("default")})
	note("rules", rules, err)
	for _, name := range pipelines {
		pipeline, err := s.client.Pipelines.GetPipeline(ctx, &headracev1.GetPipelineRequest{Name: name})
		note(name, pipeline, err)
		state, err := s.client.Pipelines.GetPipelineState(ctx, &headracev1.GetPipelineStateRequest{Name: name})
		note(name+" state", state, err)
		versions, err := s.client.Pipelines.ListPipelineVersions(ctx, &headracev1.ListPipelineVersionsRequest{Parent: name})
		note(name+" versions", versions, err)
		runs, err := s.client.Executions.ListExecutions(ctx, &headracev1.ListExecutionsRequest{Parent: name})
		note(name+" executions", runs, err)
	}
	for _, name := range executions {
		run, err := s.client.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: name})
		note(name, run, err)
		why, err := s.client.Executions.ExplainExecution(ctx, &headracev1.ExplainExecutionRequest{Name: name})
		note(name+" explained", why, err)
	}
	return told
}

// digest is of the database of the data directory.
func (s *server) digest() string {
	s.t.Helper()
	sum := sha256.New()
	for _, name := range []string{"headrace.db", "headrace.db-wal"} {
		data, err := os.ReadFile(filepath.Join(s.dir, name))
		require.NoError(s.t, err)
		sum.Write(data)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// killedWhileItMoves kills migrate-store when all rows are written and nothing is
// committed.
func (s *server) killedWhileItMoves(url string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	db, err := pgx.Connect(ctx, url)
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, db.Close(ctx)) }()
	_, err = db.Exec(ctx, `BEGIN; LOCK TABLE river_job IN SHARE MODE`)
	require.NoError(s.t, err)
	cmd := exec.CommandContext(ctx, s.binary, "migrate-store", "--data-dir", s.dir, "--database-url", url)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	require.NoError(s.t, cmd.Start())
	count := func(query string) (n int) {
		require.NoError(s.t, db.QueryRow(ctx, query).Scan(&n))
		return n
	}
	require.Eventually(s.t, func() bool {
		return count(`SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'river_job'::regclass`) == 1
	}, patience, 10*time.Millisecond, "%s", &output)
	require.NoError(s.t, cmd.Process.Kill())
	require.Error(s.t, cmd.Wait())
	_, err = db.Exec(ctx, `ROLLBACK`)
	require.NoError(s.t, err)
	require.Eventually(s.t, func() bool {
		return count(`SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'headraced%'`) == 0
	}, patience, 10*time.Millisecond)
	require.Zero(s.t, count(`SELECT (SELECT count(*) FROM accounts) + (SELECT count(*) FROM events) + (SELECT count(*) FROM turns) + (SELECT count(*) FROM river_job)`))
}

// Everything that a server on the embedded database knew when it was killed is there
// when servers on PostgreSQL go on, and what waited goes on there.
func TestMoveToPostgreSQL(t *testing.T) {
	t.Parallel()
	url := cluster.Database(t)
	s := newServer(t)
	s.start()
	ctx := t.Context()
	ann, bob := s.person("ann"), s.person("bob")
	_, err := s.client.Accounts.CreateAccount(ctx, &headracev1.CreateAccountRequest{Account: &headracev1.Account{Name: client.AccountName("other")}})
	require.NoError(t, err)
	_, err = s.client.ApprovalRules.CreateApprovalRule(ctx, &headracev1.CreateApprovalRuleRequest{ApprovalRule: &headracev1.ApprovalRule{
		Name: client.ApprovalRuleName("default", "two"), Selector: &headracev1.ApprovalSelector{Pipelines: []string{"ruled"}},
		MinimumCount: 2, Users: []string{"ann", "bob"},
	}})
	require.NoError(t, err)

	var pipelines, executions []string
	waiting := make(map[string][]string)
	source := s.stages()[0]
	define := func(name string, mode headracev1.ExecutionMode, stages ...*headracev1.Stage) {
		s.defineMode(name, mode, stages...)
		pipelines = append(pipelines, client.PipelineName("default", name))
	}
	start := func(pipeline string) string {
		name := s.run(pipeline)
		executions = append(executions, name)
		return name
	}
	for name, mode := range map[string]headracev1.ExecutionMode{
		"superseded": headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED, "queued": headracev1.ExecutionMode_EXECUTION_MODE_QUEUED,
		"parallel": headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL,
	} {
		define(name, mode, s.stages()...)
		require.Equal(t, succeeded, s.finish(start(name)).GetStatus())
		for range 2 {
			waiting[name] = append(waiting[name], start(name))
			if name == "parallel" || len(waiting[name]) == 1 {
				s.reaches(waiting[name][len(waiting[name])-1], "Approve")
			}
		}
	}
	define("failed", 0, source, shell("Build", "exit 3"))
	require.Equal(t, failed, s.ends(start("failed")))
	define("closed", 0, source, shell("Build", "true"))
	_, err = s.client.Pipelines.SetStageTransition(ctx, &headracev1.SetStageTransitionRequest{
		Pipeline: client.PipelineName("default", "closed"), Stage: "Build", Reason: "we move",
	})
	require.NoError(t, err)
	closed := start("closed")
	s.reaches(closed, "Source")
	define("ruled", 0, source, s.stages()[2])
	ruled := start("ruled")
	s.reaches(ruled, "Approve")
	_, err = ann.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{Name: ruled, Approve: true})
	require.NoError(t, err)
	_, err = s.client.Pipelines.CreatePipeline(ctx, &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("default", "composed"), Composition: headracev1.Composition_COMPOSITION_COMPOSED, Definition: &headracev1.PipelineDefinition{},
	}})
	require.NoError(t, err)
	_, err = s.client.Pipelines.CreateStage(ctx, &headracev1.CreateStageRequest{Stage: &headracev1.PipelineStage{
		Name: client.StageName("default", "composed", "Draft"), Order: 3,
	}})
	require.NoError(t, err)
	pipelines = append(pipelines, client.PipelineName("default", "composed"))
	for _, all := range waiting {
		require.Eventually(t, func() bool {
			// The second of two that do not run in parallel waits in front of a stage.
			return len(s.get(all[1]).GetStages()) > 1
		}, patience, 10*time.Millisecond)
	}
	// What a stage that waits in line does next is its own business no more.
	require.Eventually(t, func() bool {
		resp, err := s.client.Executions.ExplainExecution(ctx, &headracev1.ExplainExecutionRequest{Name: closed})
		return err == nil && strings.Contains(protojson.Format(resp), "we move")
	}, patience, 10*time.Millisecond)
	s.settles(executions)
	asked := &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", "failed"), RequestId: "once"}
	once := must[*headracev1.StartExecutionResponse](t)(s.client.Executions.StartExecution(ctx, asked)).GetExecution().GetName()
	require.Equal(t, failed, s.ends(once))

	before := s.answers(pipelines, executions)
	events := make(map[string][]*headracev1.Event)
	for _, name := range append(executions, once) {
		events[name] = s.events(name, 0)
		require.NotEmpty(t, events[name])
	}
	// These go on as soon as there is a server.
	goes, wait := s.gate()
	s.defineMode("lost", 0, source, shell("Wait", wait))
	lost := s.run("lost")
	s.reaches(lost, "Wait")
	build := shell("Build", "true")
	build.BeforeEntry = &headracev1.Condition{Result: "FAIL", Rules: []*headracev1.Rule{{
		Name: "soon", Provider: "DeploymentWindow", Configuration: map[string]string{"Cron": soon(time.Now().UTC())},
	}}}
	s.defineMode("window", 0, source, build)
	window := s.run("window")
	require.Eventually(t, func() bool {
		resp, err := s.client.Executions.ExplainExecution(ctx, &headracev1.ExplainExecutionRequest{Name: window})
		return err == nil && strings.Contains(protojson.Format(resp), "WAIT_KIND_WINDOW") || s.get(window).GetStatus() == succeeded
	}, patience, 10*time.Millisecond)

	move := []string{"migrate-store", "--data-dir", s.dir, "--database-url", url}
	s.refuses("is in use by another headraced", move...)
	s.kill()
	source1 := s.digest()
	s.refuses("database-url is required", move[:3]...)
	s.refuses("no such file or directory", "migrate-store", "--data-dir", s.dir+"-other", "--database-url", url)
	s.refuses("run headraced migrate", move...)
	s.does("migrate", "--database-url", url)
	s.killedWhileItMoves(url)
	t.Log(s.does(move...))
	s.refuses("the database is not empty", move...)
	s.refuses("migrate-store moved its database to PostgreSQL, ", "--data-dir", s.dir, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0")
	require.Equal(t, source1, s.digest(), "the source is as it was")
	s.refuses("database-url is set", "backup", "--data-dir", s.dir, "--database-url", url, "--to", goes+".backup")
	shared := s.dir + "-shared"
	for _, name := range []string{"artifacts", "logs", "identity"} {
		require.NoError(t, os.CopyFS(filepath.Join(shared, name), os.DirFS(filepath.Join(s.dir, name))))
	}

	s.flags = []string{"--database-url", url, "--storage-url", blob.DirectoryURL(shared), "--lease", "4s"}
	s.start()
	for what, told := range s.answers(pipelines, executions) {
		require.JSONEq(t, before[what], told, what)
	}
	for name, seen := range events {
		now := s.events(name, 0)
		require.GreaterOrEqual(t, len(now), len(seen))
		for i, event := range seen {
			require.True(t, proto.Equal(event, now[i]), "%v became %v", event, now[i])
		}
	}
	require.Equal(t, once, must[*headracev1.StartExecutionResponse](t)(s.client.Executions.StartExecution(ctx, asked)).GetExecution().GetName(), "a request that was repeated")

	_, err = bob.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{Name: ruled, Approve: true})
	require.NoError(t, err)
	require.Equal(t, succeeded, s.ends(ruled))
	_, err = s.client.Pipelines.SetStageTransition(ctx, &headracev1.SetStageTransitionRequest{
		Pipeline: client.PipelineName("default", "closed"), Stage: "Build", Enabled: true,
	})
	require.NoError(t, err)
	require.Equal(t, succeeded, s.ends(closed))
	for _, all := range waiting {
		for _, name := range all {
			require.Equal(t, succeeded, s.finish(name).GetStatus())
		}
	}
	for name, seen := range events {
		position := seen[len(seen)-1].GetPosition()
		require.Len(t, s.events(name, position), len(s.events(name, 0))-len(seen), "a watch is resumed where it was")
	}
	last := s.get(waiting["queued"][1]).GetNumber()
	next := s.run("queued")
	require.Equal(t, last+1, s.get(next).GetNumber())
	require.Equal(t, succeeded, s.finish(next).GetStatus())

	require.NoError(t, os.WriteFile(goes, nil, 0o600))
	require.Equal(t, succeeded, s.ends(lost), "what ran is lost and tried again")
	require.EqualValues(t, 2, s.get(lost).GetStages()[1].GetActions()[0].GetAttempt())
	require.Equal(t, succeeded, s.ends(window), "the window opens")
	s.stop()
	s.ranOnceAnAttempt()
	s.nothingRuns()
}

// settles waits until no action of the executions runs but those that wait for people.
func (s *server) settles(executions []string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		for _, name := range executions {
			resp, err := s.client.Executions.ExplainExecution(s.t.Context(), &headracev1.ExplainExecutionRequest{Name: name})
			if err != nil || strings.Contains(protojson.Format(resp), "WAIT_KIND_ACTION_RUNNING") || strings.Contains(protojson.Format(resp), "WAIT_KIND_RUNNER") {
				return false
			}
		}
		return true
	}, patience, 10*time.Millisecond)
}
