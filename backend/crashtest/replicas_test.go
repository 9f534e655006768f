package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

const (
	// executionsEnv and blowsEnv make the chaos longer than the short form.
	executionsEnv = "HEADRACE_CHAOS_EXECUTIONS"
	blowsEnv      = "HEADRACE_CHAOS_BLOWS"
	// chaosPatience is how long all of it may take.
	chaosPatience = 10 * time.Minute
)

func TestMain(m *testing.M) { os.Exit(postgrestest.Main(m, &cluster)) }

// cluster is the PostgreSQL of the replicas; it syncs what it commits.
var cluster = postgrestest.Cluster{Durable: true}

// replicas are several headraced on one PostgreSQL and one shared directory.
type replicas struct {
	t       *testing.T
	url     string
	servers []*server
	stages  []*headracev1.Stage
}

func newReplicas(t *testing.T, n int) *replicas {
	t.Helper()
	r := &replicas{t: t, url: cluster.Database(t)}
	first := newServer(t)
	out, err := exec.CommandContext(t.Context(), first.binary, "migrate", "--database-url", r.url).CombinedOutput()
	require.NoError(t, err, "%s", out)
	for i := range n {
		s := *first
		s.dir += strconv.Itoa(i)
		s.grpc, s.http = freePort(t), freePort(t)
		s.token = filepath.Join(first.dir+"0", "admin.token")
		s.flags = []string{"--database-url", r.url, "--shared-dir", first.dir + "-shared", "--lease", "4s"}
		r.servers = append(r.servers, &s)
		s.start()
	}
	r.stages = first.stages()
	for _, a := range r.stages[1].GetActions() {
		a.OnLost = "retry"
	}
	return r
}

// call tries on one replica after the other until one answers.
func call[T any](r *replicas, what string, fn func(ctx context.Context, c *client.Client) (T, error)) (got T) {
	r.t.Helper()
	var err error
	for begun := time.Now(); time.Since(begun) < chaosPatience; {
		for _, s := range r.servers {
			ctx, cancel := context.WithTimeout(r.t.Context(), 5*time.Second)
			got, err = fn(ctx, s.client)
			cancel()
			switch status.Code(err) {
			case codes.OK:
				return got
			case codes.Unavailable, codes.DeadlineExceeded, codes.Internal:
			default:
				require.NoError(r.t, err, what)
			}
		}
	}
	require.NoError(r.t, err, what)
	return got
}

// start starts an execution once, however often it is tried.
func (r *replicas) start(pipeline string, n int) string {
	r.t.Helper()
	return call(r, "start", func(ctx context.Context, c *client.Client) (*headracev1.StartExecutionResponse, error) {
		return c.Executions.StartExecution(ctx, &headracev1.StartExecutionRequest{
			Pipeline: client.PipelineName("default", pipeline), RequestId: fmt.Sprintf("%s-%d", pipeline, n),
		})
	}).GetExecution().GetName()
}

// finish approves where it is needed and waits for the end.
func (r *replicas) finish(name string) *headracev1.Execution {
	r.t.Helper()
	for begun := time.Now(); ; {
		e := call(r, "get", func(ctx context.Context, c *client.Client) (*headracev1.GetExecutionResponse, error) {
			return c.Executions.GetExecution(ctx, &headracev1.GetExecutionRequest{Name: name})
		}).GetExecution()
		if e.GetStatus() != headracev1.ExecutionStatus_EXECUTION_STATUS_IN_PROGRESS {
			return e
		}
		require.Less(r.t, time.Since(begun), chaosPatience, "execution is stuck: %v", e)
		if stages := e.GetStages(); stages[len(stages)-1].GetStage() == "Approve" {
			for _, s := range r.servers {
				ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
				_, err := s.client.Executions.DecideApproval(ctx, &headracev1.DecideApprovalRequest{Name: name, Approve: true})
				cancel()
				if err == nil {
					break
				}
			}
		}
		<-time.After(20 * time.Millisecond)
	}
}

// blow does one bad thing and mends it.
func (r *replicas) blow(random *rand.Rand) (what string) {
	s := r.servers[random.IntN(len(r.servers))]
	switch random.IntN(10) {
	case 0:
		what = "PostgreSQL crashes"
		require.NoError(r.t, errors.Join(cluster.Kill(), cluster.Start()))
	case 1, 2:
		what = "connections are cut"
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		c, err := pgx.Connect(ctx, r.url)
		require.NoError(r.t, err)
		_, err = c.Exec(ctx, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		require.NoError(r.t, errors.Join(err, c.Close(ctx)))
	case 3, 4, 5:
		what = "a replica is paused"
		require.NoError(r.t, s.process.Process.Signal(syscall.SIGSTOP))
		<-time.After(time.Duration(1+random.IntN(6)) * time.Second)
		require.NoError(r.t, s.process.Process.Signal(syscall.SIGCONT))
	default:
		what = "a replica is killed"
		s.kill()
		s.start()
	}
	return what
}

// Replicas that are killed and paused, a database that crashes and whose connections
// are cut: every execution ends as its actions say, no action runs twice in one
// attempt, and no stage holds two executions.
func TestReplicasInChaos(t *testing.T) {
	t.Parallel()
	r := newReplicas(t, 3)
	executions, blows := number(t, executionsEnv, 18), number(t, blowsEnv, 6)
	modes := map[string]headracev1.ExecutionMode{
		"queued": headracev1.ExecutionMode_EXECUTION_MODE_QUEUED, "superseded": headracev1.ExecutionMode_EXECUTION_MODE_SUPERSEDED,
		"parallel": headracev1.ExecutionMode_EXECUTION_MODE_PARALLEL,
	}
	for name, mode := range modes {
		_, err := r.servers[0].client.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
			Name: client.PipelineName("default", name), Definition: &headracev1.PipelineDefinition{ExecutionMode: mode, Stages: r.stages},
		}})
		require.NoError(t, err)
	}

	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var runs sync.WaitGroup
	var mu sync.Mutex
	ended := make(map[string][]*headracev1.Execution)
	for name := range modes {
		queue := make(chan int, executions)
		for n := range executions / len(modes) {
			queue <- n
		}
		close(queue)
		for range 4 {
			runs.Go(func() {
				for n := range queue {
					e := r.finish(r.start(name, n))
					mu.Lock()
					ended[name] = append(ended[name], e)
					mu.Unlock()
				}
			})
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runs.Wait()
	}()
	blown := make(map[string]int)
	for range blows {
		begun := time.Now()
		what := r.blow(random)
		t.Logf("%s to %s: %s", begun.UTC().Format("15:04:05.000"), time.Now().UTC().Format("15:04:05.000"), what)
		blown[what]++
		<-time.After(time.Duration(random.IntN(1000)) * time.Millisecond)
	}
	<-done
	t.Logf("blows: %v", blown)

	outcomes := make(map[string]int)
	for name, all := range ended {
		require.Len(t, all, executions/len(modes))
		for _, e := range all {
			outcomes[name+" "+e.GetStatus().String()]++
			switch e.GetStatus() {
			case headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED:
			case headracev1.ExecutionStatus_EXECUTION_STATUS_SUPERSEDED:
				require.Equal(t, "superseded", name)
			default:
				// What is lost three times is not tried a fourth time.
				require.Equal(t, "RunnerLost", failure(e), "%v", e)
			}
		}
		r.stagesWereHeldByOne(name, all)
	}
	t.Logf("outcomes: %v", outcomes)
	for _, s := range r.servers {
		s.stop()
	}
	r.servers[0].ranOnceAnAttempt()
	for _, s := range r.servers {
		s.nothingRuns()
	}
}

func number(t *testing.T, env string, otherwise int) int {
	t.Helper()
	text := os.Getenv(env)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, env)
	return n
}

// stagesWereHeldByOne reads the events of all executions of a pipeline, by their
// positions, which ascend with the commits of its scope.
func (r *replicas) stagesWereHeldByOne(pipeline string, executions []*headracev1.Execution) {
	r.t.Helper()
	events := make(map[int64]*headracev1.Event)
	last := int64(0)
	for _, e := range executions {
		begins, ends := 0, 0
		for _, ev := range r.events(e.GetName()) {
			events[ev.GetPosition()], last = ev, max(last, ev.GetPosition())
			if ev.GetState() == "LOST" {
				r.t.Logf("%s#%d %s %s/%s attempt %d: %s", pipeline, e.GetNumber(), ev.GetEventTime().AsTime().Format("15:04:05.000"), ev.GetStage(), ev.GetAction(), ev.GetAttempt(), ev.GetMessage())
			}
			if ev.GetSubject() == headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION {
				if ev.GetState() == "STARTED" {
					begins++
				} else {
					ends++
				}
			}
		}
		require.Equal(r.t, begins, ends, "every stage that began ended: %v", e)
	}
	if pipeline == "parallel" {
		return
	}
	inside := make(map[string]int64)
	for position := range last + 1 {
		ev := events[position]
		if ev.GetSubject() != headracev1.EventSubject_EVENT_SUBJECT_STAGE_EXECUTION {
			continue
		}
		if ev.GetState() == "STARTED" {
			require.Zero(r.t, inside[ev.GetStage()], "stage %s holds two executions at %d", ev.GetStage(), position)
			inside[ev.GetStage()] = position
		} else {
			delete(inside, ev.GetStage())
		}
	}
}

func (r *replicas) events(name string) (events []*headracev1.Event) {
	r.t.Helper()
	return call(r, "watch", func(ctx context.Context, c *client.Client) ([]*headracev1.Event, error) {
		events = nil
		stream, err := c.Executions.WatchExecution(ctx, &headracev1.WatchExecutionRequest{Name: name})
		for err == nil {
			var got *headracev1.WatchExecutionResponse
			if got, err = stream.Recv(); err == nil {
				events = append(events, got.GetEvent())
			}
		}
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		return nil, err
	})
}
