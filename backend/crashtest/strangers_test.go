package crashtest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres/postgrestest"
)

// again is about how long a stranger waits before it tries again, so that the attack is one on the
// bounds of the server and not on the processors of the machine.
const again = time.Second

// stranger does something without a token again and again, until the attack ends.
type stranger func(ctx context.Context)

// attack lets strangers go on until the test says that it is enough.
func attack(t *testing.T, n int, what stranger) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var going sync.WaitGroup
	for range n {
		going.Go(func() {
			for ctx.Err() == nil {
				rest(ctx, again/2+rand.N(again))
				what(ctx)
			}
		})
	}
	end = sync.OnceFunc(func() {
		cancel()
		going.Wait()
	})
	t.Cleanup(end)
	return end
}

// held opens a connection, says something and reads until the server closes it.
func held(address, first string) stranger {
	return func(ctx context.Context) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		defer stop()
		defer func() { _ = conn.Close() }()
		if _, err := io.WriteString(conn, first); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	}
}

// preface is a connection of HTTP/2 with its settings, and settings that were acknowledged.
const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00" + "\x00\x00\x00\x04\x01\x00\x00\x00\x00"

// keepAlive is a request after which a connection of HTTP stays open.
const keepAlive = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

// silentCall is a call by HTTP without a token whose message does not come.
const silentCall = "POST " + headracev1.ServerService_GetServerInfo_FullMethodName + " HTTP/1.1\r\nHost: localhost\r\n" +
	"Content-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nContent-Length: 100\r\n\r\n"

// largeCall is a call by HTTP without a valid token whose message does not come.
const largeCall = "POST " + headracev1.PipelineService_CreatePipeline_FullMethodName + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\n" +
	"Content-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nContent-Length: 4000000\r\n\r\n"

// slowLogin is a login whose body does not come.
const slowLogin = "POST /session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 4000\r\n\r\n{"

// knownCall is a call by HTTP with the token of the admin, after which the connection stays open.
func (s *server) knownCall() string {
	s.t.Helper()
	token, err := os.ReadFile(s.token)
	require.NoError(s.t, err)
	return "POST " + headracev1.ServerService_WhoAmI_FullMethodName + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " +
		strings.TrimSpace(string(token)) + "\r\nContent-Type: application/proto\r\nConnect-Protocol-Version: 1\r\nContent-Length: 0\r\n\r\n"
}

// dialWithoutRetries returns a connection of gRPC that has not been made yet.
func (s *server) dialWithoutRetries() *grpc.ClientConn {
	s.t.Helper()
	conn, err := grpc.NewClient(s.grpc, grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(s.t, err)
	return conn
}

// withToken returns the context of calls of the admin.
func (s *server) withToken(ctx context.Context) context.Context {
	s.t.Helper()
	token, err := os.ReadFile(s.token)
	require.NoError(s.t, err)
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+strings.TrimSpace(string(token)))
}

// honest is what callers who mean well do, each many times, and how long each of them took.
type honest struct {
	calls map[string]func(context.Context) error
	took  map[string][]time.Duration
}

// callers returns calls on a connection that is open since before the attack, and on new ones.
func (s *server) callers() *honest {
	s.t.Helper()
	open := s.dialWithoutRetries()
	s.t.Cleanup(func() { _ = open.Close() })
	whoAmI := func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := headracev1.NewServerServiceClient(conn).WhoAmI(s.withToken(ctx), &headracev1.WhoAmIRequest{})
		return err
	}
	anew := func(call func(context.Context, *grpc.ClientConn) error) func(context.Context) error {
		return func(ctx context.Context) error {
			conn := s.dialWithoutRetries()
			defer func() { _ = conn.Close() }()
			return call(ctx, conn)
		}
	}
	keeping := &http.Transport{}
	s.t.Cleanup(keeping.CloseIdleConnections)
	browser := &http.Client{Transport: keeping}
	h := &honest{took: make(map[string][]time.Duration), calls: map[string]func(context.Context) error{
		"WhoAmI on an open connection": func(ctx context.Context) error { return whoAmI(ctx, open) },
		"WhoAmI on a new connection":   anew(whoAmI),
		"GetServerInfo on a new connection": anew(func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := headracev1.NewServerServiceClient(conn).GetServerInfo(ctx, &headracev1.GetServerInfoRequest{})
			return err
		}),
		"health on a new connection": anew(func(ctx context.Context, conn *grpc.ClientConn) error {
			_, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{})
			return err
		}),
		"WhoAmI by HTTP, as browsers do": func(ctx context.Context) error { return s.whoAmIByHTTP(ctx, browser) },
		"WhoAmI by HTTP, anew": func(ctx context.Context) error {
			return s.whoAmIByHTTP(ctx, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}})
		},
		"/readyz on a new connection": func(ctx context.Context) error {
			code, body, err := s.fetch(ctx, "/readyz")
			if err == nil && code != http.StatusOK {
				err = fmt.Errorf("%d %s", code, body)
			}
			return err
		},
	}}
	// The connection is made, and has authenticated, before the attack.
	require.NoError(s.t, whoAmI(s.t.Context(), open))
	require.NoError(s.t, s.whoAmIByHTTP(s.t.Context(), browser))
	return h
}

// whoAmIByHTTP calls with the token of the admin.
func (s *server) whoAmIByHTTP(ctx context.Context, c *http.Client) error {
	token, err := os.ReadFile(s.token)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.http+headracev1.ServerService_WhoAmI_FullMethodName, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Connect-Protocol-Version", "1")
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if data, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%d %s: %w", resp.StatusCode, data, err)
	}
	return nil
}

// fetch reads from the HTTP address on a connection of its own.
func (s *server) fetch(ctx context.Context, path string) (code int, body string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+path, nil)
	if err != nil {
		return 0, "", err
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(data), err
}

// metrics returns what a scrape gets.
func (s *server) metrics() string {
	s.t.Helper()
	code, body, err := s.fetch(s.t.Context(), "/metrics")
	require.NoError(s.t, err)
	require.Equal(s.t, http.StatusOK, code)
	return body
}

// during calls as long as something holds, and at least some times. None may fail.
func (h *honest) during(t *testing.T, holds func() bool) {
	t.Helper()
	const least = 20
	for n := 0; n < least || holds(); n++ {
		for name, call := range h.calls {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			began := time.Now()
			err := call(ctx)
			cancel()
			require.NoError(t, err, "%s, the %dth time", name, n)
			h.took[name] = append(h.took[name], time.Since(began))
		}
	}
}

// report prints how long the calls took.
func (h *honest) report(t *testing.T, when string) {
	t.Helper()
	for name, took := range h.took {
		slices.Sort(took)
		t.Logf("%s: %-34s %4d calls, none failed, median %s, longest %s", when, name, len(took),
			took[len(took)/2].Round(10*time.Microsecond), took[len(took)-1].Round(10*time.Microsecond))
	}
	clear(h.took)
}

// withFiles lets the server open so many files.
func (s *server) withFiles(most int) {
	s.t.Helper()
	script := filepath.Join(filepath.Dir(s.dir), "limited")
	text := fmt.Sprintf("#!/bin/sh\nulimit -n %d\nexec '%s' \"$@\"\n", most, s.binary)
	require.NoError(s.t, os.WriteFile(script, []byte(text), 0o700))
	s.binary = script
}

// meter counts what a server writes while it writes.
type meter struct{ n atomic.Int64 }

// Write implements io.Writer.
func (m *meter) Write(p []byte) (int, error) {
	m.n.Add(int64(len(p)))
	return len(p), nil
}

// requireJSON checks that everything that the server wrote is in the chosen format, and
// returns the number of lines.
func requireJSON(t *testing.T, output []byte) (lines int) {
	t.Helper()
	for line := range bytes.Lines(output) {
		var fields map[string]any
		require.NoError(t, json.Unmarshal(line, &fields), "%s", line)
		require.NotEmpty(t, fields["@level"], "%s", line)
		lines++
	}
	return lines
}

// Paths of methods that do not exist, which anybody may send, take neither memory nor the
// log nor the metrics.
func TestStrangersCallUnknownMethods(t *testing.T) {
	t.Parallel()
	const connections, calls, length = 8, 40000, 15000
	s := newServer(t)
	log := &meter{}
	s.log = log
	s.flags = []string{"--log-format", "json"}
	s.start()
	h := s.callers()
	h.during(t, func() bool { return false })
	h.report(t, "before")
	series := strings.Count(s.metrics(), "\n")
	before := s.resident()
	logged := log.n.Load()

	var flooding sync.WaitGroup
	flooded := make(chan struct{})
	began := time.Now()
	for c := range connections {
		conn := s.dialWithoutRetries()
		t.Cleanup(func() { _ = conn.Close() })
		flooding.Go(func() {
			for i := range calls / connections {
				path := fmt.Sprintf("/a/%d-%d%s", c, i, strings.Repeat("x", length*(i%2)))
				err := conn.Invoke(t.Context(), path, &headracev1.WhoAmIRequest{}, &headracev1.WhoAmIResponse{})
				// The connection of a stranger may be closed at any time.
				if code := status.Code(err); code != codes.Unauthenticated && code != codes.Unavailable {
					t.Errorf("%.20s: %v", path, err)
					return
				}
			}
		})
	}
	go func() {
		flooding.Wait()
		close(flooded)
	}()
	h.during(t, func() bool {
		select {
		case <-flooded:
			return false
		default:
			return true
		}
	})
	took := time.Since(began)
	h.report(t, "during")
	metrics := s.metrics()
	require.Contains(t, metrics, `headrace_grpc_requests_total{code="Unauthenticated",method="unknown"} `)
	require.NotContains(t, metrics, "/a/")
	t.Logf("%d calls in %s: /metrics had %d lines, now has %d; the log grew by %d bytes", calls, took.Round(time.Millisecond), series,
		strings.Count(metrics, "\n"), log.n.Load()-logged)
	require.Less(t, strings.Count(metrics, "\n"), series+50)
	// 50 lines at once and one each second, of at most about 500 bytes.
	require.Less(t, log.n.Load()-logged, int64(100+took.Seconds())*500)
	s.grew(before)
	for _, path := range []string{"/" + strings.Repeat("y", 4000), "/metrics/../y"} {
		code, _, err := s.fetch(t.Context(), path)
		require.NoError(t, err)
		require.GreaterOrEqual(t, code, http.StatusBadRequest)
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.http+"/headrace.v1.A"+path, nil)
		require.NoError(t, err)
		req.Header.Set("Content-Type", "application/grpc-web")
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusNotFound, resp.StatusCode)
	}
	require.NotContains(t, s.metrics(), "yyy", "no path becomes a label")
	s.stop()
	require.NotContains(t, s.output.String(), "yyy", "or a line")
	requireJSON(t, s.output.Bytes())
}

// More idle connections than the server takes, on every port and within a limit of files,
// keep nobody out. Nor do calls whose message never comes.
func TestStrangersHoldConnections(t *testing.T) {
	t.Parallel()
	const files, seconds = 2048, 2
	s := newServer(t)
	s.withFiles(files)
	hooks := freePort(t)
	s.flags = []string{"--log-format", "json", "--hooks-listen", hooks}
	s.start()
	h := s.callers()
	h.calls["a delivery on a new connection"] = func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+hooks+"/hooks/github/nobody", nil)
		if err != nil {
			return err
		}
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		if err == nil {
			err = resp.Body.Close()
		}
		return err
	}
	h.during(t, func() bool { return false })
	h.report(t, "before")

	closes := func(listener string) func() bool {
		return func() bool {
			return strings.Contains(s.metrics(), `headrace_connections_closed_total{listener="`+listener+`"`)
		}
	}
	for _, test := range []struct {
		what, listener string
		connections    int
		stranger       stranger
	}{
		{"idle connections to gRPC", "grpc", 1000, held(s.grpc, preface)},
		{"connections to HTTP that are kept alive", "http", 3000, held(s.http, keepAlive)},
		{"calls by HTTP whose message does not come", "http", 1000, held(s.http, silentCall)},
		{"refused calls by HTTP whose message does not come", "http", 1000, held(s.http, largeCall)},
		{"logins whose body does not come", "http", 1000, held(s.http, slowLogin)},
		{"connections to the hooks that are kept alive", "hooks", 3000, held(hooks, keepAlive)},
	} {
		end := attack(t, test.connections, test.stranger)
		require.Eventually(t, closes(test.listener), patience, 100*time.Millisecond, test.what)
		until := time.Now().Add(seconds * time.Second)
		h.during(t, func() bool { return time.Now().Before(until) })
		h.report(t, test.what)
		end()
	}
	// As many as the listener has places, all with a token, keep out neither probes nor others.
	end := attack(t, 600, held(s.http, s.knownCall()))
	until := time.Now().Add(seconds * time.Second)
	h.during(t, func() bool { return time.Now().Before(until) })
	h.report(t, "browsers that have authenticated")
	end()
	for line := range strings.Lines(s.metrics()) {
		if strings.HasPrefix(line, "headrace_connections_closed_total") {
			t.Log(strings.TrimSpace(line))
		}
	}

	silent := func(method string) stranger {
		return func(ctx context.Context) {
			conn := s.dialWithoutRetries()
			defer func() { _ = conn.Close() }()
			var calls []grpc.ClientStream
			for range 100 {
				call, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method)
				if err != nil {
					return
				}
				calls = append(calls, call)
			}
			for _, call := range calls {
				_ = call.RecvMsg(&headracev1.GetServerInfoResponse{})
			}
		}
	}
	for _, method := range []string{
		headracev1.ServerService_GetServerInfo_FullMethodName, grpc_health_v1.Health_Check_FullMethodName, grpc_health_v1.Health_Watch_FullMethodName,
	} {
		end := attack(t, 24, silent(method))
		refused := fmt.Sprintf(`headrace_grpc_requests_total{code="DeadlineExceeded",method="%s"}`, method)
		require.Eventually(t, func() bool { return strings.Contains(s.metrics(), refused) }, patience, 100*time.Millisecond, refused)
		until := time.Now().Add(seconds * time.Second)
		h.during(t, func() bool { return time.Now().Before(until) })
		h.report(t, "24 callers of "+method+" that send nothing")
		end()
	}
	s.stop()
	t.Logf("the log has %d lines", requireJSON(t, s.output.Bytes()))
}

// While PostgreSQL is away, every library writes in the chosen format and none fills the disk.
func TestAnOutageDoesNotFillTheLog(t *testing.T) {
	t.Parallel()
	const outage = 10 * time.Second
	s := newServer(t)
	own := &postgrestest.Cluster{Durable: true}
	t.Cleanup(func() { require.NoError(t, own.Stop()) })
	r := replicate(t, s, 1, own.Database(t), "--log-format", "json")
	s = r.servers[0]
	s.define("web", s.stages())
	require.Equal(t, headracev1.ExecutionStatus_EXECUTION_STATUS_SUCCEEDED, s.finish(s.run("web")).GetStatus())
	sizeOfLog := func() int64 {
		info, err := os.Stat(filepath.Join(t.ArtifactDir(), "headraced0.log"))
		require.NoError(t, err)
		return info.Size()
	}
	before := sizeOfLog()
	require.NoError(t, own.Kill())
	for began := time.Now(); time.Since(began) < outage; {
		// Anybody can make the server ask its database.
		code, _, err := s.fetch(t.Context(), "/readyz")
		require.NoError(t, err, "%s", s.output)
		require.Equal(t, http.StatusServiceUnavailable, code)
	}
	size := sizeOfLog() - before
	require.NoError(t, own.Start())
	eventually(t, "it is not ready again", func() (struct{}, bool) {
		code, _, err := s.fetch(t.Context(), "/readyz")
		return struct{}{}, err == nil && code == http.StatusOK
	})
	s.stop()
	lines := requireJSON(t, s.output.Bytes())
	t.Logf("%s without PostgreSQL: %d KB of log; %d lines from start to end", outage, size>>10, lines)
	// A few messages, each 50 times at once and once a second then.
	require.Less(t, lines, 1000)
	require.Contains(t, s.output.String(), `"dropped":`)
}
