package crashtest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// most is how much the server may grow under hostile clients. What they would have it
// keep without bounds is several times as much.
const most = 128 << 20

// resident is how much memory the server has, in bytes.
func (s *server) resident() int64 {
	s.t.Helper()
	return s.memory("VmRSS:")
}

// memory is what the kernel says of the memory of the server, in bytes.
func (s *server) memory(what string) int64 {
	s.t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.process.Process.Pid))
	require.NoError(s.t, err)
	_, rest, _ := strings.Cut(string(data), what)
	kilobytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(s.t, err)
	return kilobytes << 10
}

// grew checks and tells how much memory the server took since it had so much.
func (s *server) grew(before int64) {
	s.t.Helper()
	after := s.resident()
	s.t.Logf("the server had %d MiB, now has %d MiB", before>>20, after>>20)
	require.Less(s.t, after-before, int64(most))
}

// dial returns another connection.
func (s *server) dial() *client.Client {
	s.t.Helper()
	token, err := os.ReadFile(s.token)
	require.NoError(s.t, err)
	c, err := client.Dial(client.Config{Endpoint: s.grpc, Token: strings.TrimSpace(string(token))}, "crashtest")
	require.NoError(s.t, err)
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// source is a stage with the fetch.
func (s *server) source() *headracev1.Stage { return s.stages()[0] }

func approval() *headracev1.Stage {
	return &headracev1.Stage{Name: "Approve", Actions: []*headracev1.Action{{
		Name: "Manual", Category: "Approval", Owner: "Headrace", Provider: "Manual", Version: "1",
	}}}
}

// eventually returns the first answer that is good.
func eventually[T any](t *testing.T, what string, look func() (T, bool)) (got T) {
	t.Helper()
	require.Eventually(t, func() (ok bool) {
		got, ok = look()
		return ok
	}, 5*time.Minute, 20*time.Millisecond, what)
	return got
}

// A hundred watches and a hundred tails of a long log, half of which stop to read: the
// others get all, executions go on, the server stays small and stops in order.
func TestClientsThatStopToRead(t *testing.T) {
	t.Parallel()
	const logSize, each, connections = 8 << 20, 25, 4
	s := newServer(t)
	s.start()
	chatty := &headracev1.Stage{Name: "Build", Actions: []*headracev1.Action{{
		Name: "Talk", Category: "Build", Owner: "Headrace", Provider: "Commands", Version: "1", InputArtifacts: []string{"source"},
		Commands: []string{fmt.Sprintf("head -c %d /dev/zero | tr '\\0' x | fold -w 127", logSize)},
	}}}
	s.define("chatty", []*headracev1.Stage{s.source(), chatty, approval()})
	s.define("other", s.stages())
	name := s.run("chatty")
	action := eventually(t, "the log is not written", func() (string, bool) {
		resp, err := s.client.Executions.GetExecution(t.Context(), &headracev1.GetExecutionRequest{Name: name})
		require.NoError(t, err)
		stages := resp.GetExecution().GetStages()
		if len(stages) < 3 {
			return "", false
		}
		return stages[1].GetActions()[0].GetId(), true
	})

	before := s.resident()
	var reading sync.WaitGroup
	var watched, tailed atomic.Int64
	for range connections {
		c := s.dial()
		for i := range each {
			reads := i%2 == 0
			watch, err := c.Executions.WatchExecution(t.Context(), &headracev1.WatchExecutionRequest{Name: name})
			require.NoError(t, err)
			tail, err := c.Executions.TailLog(t.Context(), &headracev1.TailLogRequest{Name: name, ActionExecutionId: action, Follow: true})
			require.NoError(t, err)
			if !reads {
				continue
			}
			reading.Go(func() {
				for {
					if _, err := watch.Recv(); err != nil {
						if errors.Is(err, io.EOF) {
							watched.Add(1)
						}
						return
					}
				}
			})
			reading.Go(func() {
				size := 0
				for {
					chunk, err := tail.Recv()
					if err != nil {
						if errors.Is(err, io.EOF) && size >= logSize {
							tailed.Add(1)
						}
						return
					}
					size += len(chunk.GetData())
				}
			})
		}
	}
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(s.run("other")).GetStatus(), "others go on")
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(name).GetStatus())
	reading.Wait()
	const readers = connections * (each/2 + 1)
	require.Equal(t, []int64{readers, readers}, []int64{watched.Load(), tailed.Load()}, "who reads gets all to the end")
	s.grew(before)
	s.stop()
}

// Ten thousand starts of a pipeline whose executions wait: as many as may be live are
// taken, the others are refused in words, with a reason and a time to try again, and
// another account does not notice.
func TestAFloodOfStarts(t *testing.T) {
	t.Parallel()
	const flood, callers, live = 10000, 16, 50
	s := newServer(t)
	s.start()
	s.define("flooded", []*headracev1.Stage{s.source(), approval()})
	_, err := s.client.Pipelines.UpdatePipeline(t.Context(), &headracev1.UpdatePipelineRequest{Pipeline: s.inMode("flooded", headracev1.ExecutionMode_EXECUTION_MODE_QUEUED)})
	require.NoError(t, err)
	_, err = s.client.Accounts.CreateAccount(t.Context(), &headracev1.CreateAccountRequest{Account: &headracev1.Account{Name: client.AccountName("other")}})
	require.NoError(t, err)
	s.alone("other")
	_, err = s.client.Pipelines.CreatePipeline(t.Context(), &headracev1.CreatePipelineRequest{Pipeline: &headracev1.Pipeline{
		Name: client.PipelineName("other", "web"), Definition: &headracev1.PipelineDefinition{Stages: s.stages()},
	}})
	require.NoError(t, err)

	before := s.resident()
	var calls, taken atomic.Int64
	wrong := make(chan error, callers)
	done := make(chan struct{})
	var flooding sync.WaitGroup
	for range callers {
		c := s.dial()
		flooding.Go(func() {
			for over := false; !over || calls.Load() < flood; {
				calls.Add(1)
				_, err := c.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("default", "flooded")})
				if err == nil {
					taken.Add(1)
				} else if err = refusedForNow(err); err != nil {
					wrong <- err
					return
				}
				select {
				case <-done:
					over = true
				default:
				}
			}
		})
	}
	// In the middle of it.
	eventually(t, "the flood does not rise", func() (struct{}, bool) { return struct{}{}, taken.Load() >= live })
	resp, err := s.client.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: client.PipelineName("other", "web")})
	require.NoError(t, err)
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(resp.GetExecution().GetName()).GetStatus(), "another account goes on")
	close(done)
	flooding.Wait()
	close(wrong)
	for err := range wrong {
		require.NoError(t, err)
	}
	require.EqualValues(t, live, taken.Load())
	t.Logf("%d starts, %d of them taken", calls.Load(), taken.Load())
	s.grew(before)
	s.stop()
}

// inMode returns a pipeline of the account default in another mode.
func (s *server) inMode(name string, mode headracev1.ExecutionMode) *headracev1.Pipeline {
	s.t.Helper()
	resp, err := s.client.Pipelines.GetPipeline(s.t.Context(), &headracev1.GetPipelineRequest{Name: client.PipelineName("default", name)})
	require.NoError(s.t, err)
	p := resp.GetPipeline()
	p.Definition.ExecutionMode = mode
	return p
}

// refusedForNow checks that an error is the refusal of a full pipeline.
func refusedForNow(err error) error {
	if status.Code(err) != codes.ResourceExhausted || client.Reason(err) != pipeline.ReasonLimitExceeded {
		return fmt.Errorf("not refused for the limit: %w", err)
	}
	if !strings.Contains(err.Error(), "50 executions in progress") {
		return fmt.Errorf("it does not say what is wrong: %w", err)
	}
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.RetryInfo); ok && info.GetRetryDelay().AsDuration() > 0 {
			return nil
		}
	}
	return fmt.Errorf("it does not say when to try again: %w", err)
}

// Connections that say nothing are closed, and meanwhile keep nobody out.
func TestConnectionsThatSayNothing(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	s.start()
	s.define("web", s.stages())
	before := s.resident()
	var silent []net.Conn
	for _, address := range []string{s.grpc, s.http} {
		for range 200 {
			var dialer net.Dialer
			conn, err := dialer.DialContext(t.Context(), "tcp", address)
			require.NoError(t, err)
			t.Cleanup(func() { _ = conn.Close() })
			silent = append(silent, conn)
		}
	}
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(s.run("web")).GetStatus())
	s.grew(before)
	for _, conn := range silent {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(5*time.Minute)))
		_, err := io.Copy(io.Discard, conn)
		var late net.Error
		require.False(t, errors.As(err, &late) && late.Timeout(), "the server closes it")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := s.client.Server.WhoAmI(ctx, &headracev1.WhoAmIRequest{})
	require.NoError(t, err)
	s.stop()
}
