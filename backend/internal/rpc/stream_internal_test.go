package rpc

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// fakeStream is a stream of one caller who says nothing.
type fakeStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // grpc.ServerStream is made this way.
	sent int
}

func (s *fakeStream) Context() context.Context { return s.ctx }
func (s *fakeStream) SendMsg(any) error        { s.sent++; return nil }

// streamGate is a gate with one token, which ends in an hour of its clock.
type streamGate struct {
	*gate
	now   atomic.Int64
	drain context.CancelFunc
	store store.Store
	ctx   context.Context //nolint:containedctx // The caller's.
}

func newStreamGate(t *testing.T) *streamGate {
	t.Helper()
	opened, err := sqlite.Open(t.Context(), sqlite.Config{Path: filepath.Join(t.TempDir(), "headrace.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, opened.Close()) })
	g := &streamGate{store: opened}
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	g.now.Store(begin.UnixNano())
	clock := func() time.Time { return time.Unix(0, g.now.Load()).UTC() }
	secret := auth.NewSecret()
	require.NoError(t, opened.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateToken(ctx, auth.Token{ID: "t", Hash: auth.Hash(secret), Principal: "ann", ExpiresAt: begin.Add(time.Hour)})
	}))
	draining, drain := context.WithCancel(t.Context())
	g.drain = drain
	g.gate = &gate{
		accounts: service.NewAccounts(service.AccountsConfig{Store: opened, Clock: clock, Reports: service.NewReports(opened, clock)}), stall: time.Minute,
		log: hclog.NewNullLogger(), strangers: hclog.NewNullLogger(), clock: clock, draining: draining, recheck: time.Millisecond,
		observe: func(string, codes.Code, time.Duration) {}, validator: newValidator, methods: methodsByPath(),
	}
	g.ctx = metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+secret))
	return g
}

// run opens a stream that waits for its end, and then sends once more.
func (g *streamGate) run(t *testing.T) (began chan struct{}, ended chan error, inner *fakeStream) {
	t.Helper()
	began, ended, inner = make(chan struct{}), make(chan error, 1), &fakeStream{ctx: g.ctx}
	info := &grpc.StreamServerInfo{FullMethod: headracev1.ExecutionService_TailLog_FullMethodName}
	go func() {
		ended <- g.stream(nil, inner, info, func(_ any, ss grpc.ServerStream) error {
			if err := ss.SendMsg(nil); err != nil {
				return err
			}
			close(began)
			<-ss.Context().Done()
			return ss.SendMsg(nil)
		})
	}()
	return began, ended, inner
}

func TestStreamsEndWithTheirToken(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *streamGate){
		"revoked": func(t *testing.T, g *streamGate) {
			t.Helper()
			require.NoError(t, g.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.DeleteToken(ctx, "t") }))
		},
		"expired": func(_ *testing.T, g *streamGate) { g.now.Add(int64(time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newStreamGate(t)
			began, ended, inner := g.run(t)
			<-began
			end(t, g)
			err := <-ended
			require.Equal(t, codes.Unauthenticated, status.Code(err))
			require.ErrorContains(t, err, "revoked or expired")
			require.Equal(t, 1, inner.sent, "nothing is sent after the end")
		})
	}
}

func TestStreamsEndWithTheirSession(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(g *streamGate, secret string) error{
		"by a logout": func(g *streamGate, secret string) error { return g.accounts.LogOut(t.Context(), secret) },
		"with its token": func(g *streamGate, _ string) error {
			return g.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error { return tx.DeleteToken(ctx, "t") })
		},
		"that of its token": func(g *streamGate, _ string) error {
			g.now.Add(int64(time.Hour))
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newStreamGate(t)
			header, _ := metadata.FromIncomingContext(g.ctx)
			_, _, secret, err := g.accounts.LogIn(t.Context(), strings.TrimPrefix(header.Get("authorization")[0], "Bearer "), "")
			require.NoError(t, err)
			g.ctx = context.WithValue(t.Context(), sessionKey{}, secret)
			began, ended, inner := g.run(t)
			<-began
			require.NoError(t, end(g, secret))
			err = <-ended
			require.Equal(t, codes.Unauthenticated, status.Code(err))
			require.ErrorContains(t, err, "log in again")
			require.Equal(t, 1, inner.sent)
		})
	}
}

func TestStreamsEndWhenTheServerStops(t *testing.T) {
	t.Parallel()
	g := newStreamGate(t)
	began, ended, _ := g.run(t)
	<-began
	g.drain()
	require.Equal(t, codes.Unavailable, status.Code(<-ended))
}

func TestStreamOutlivesAStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	g := newStreamGate(t)
	broken := &brokenStore{Store: g.store}
	g.accounts = service.NewAccounts(service.AccountsConfig{Store: broken, Clock: g.clock, Reports: service.NewReports(broken, g.clock)})
	began, ended, _ := g.run(t)
	<-began
	broken.broken.Store(true)
	require.Eventually(t, func() bool { return broken.asked.Load() > 2 }, 10*time.Second, time.Millisecond)
	require.Empty(t, ended)
	g.drain()
	require.Equal(t, codes.Unavailable, status.Code(<-ended))
}

type brokenStore struct {
	store.Store
	broken atomic.Bool
	asked  atomic.Int64
}

func (s *brokenStore) View(ctx context.Context, fn func(context.Context, store.Reader) error) error {
	if s.broken.Load() {
		s.asked.Add(1)
		return errors.New("the disk is slow today")
	}
	return s.Store.View(ctx, fn)
}

func TestMessagesOfStreamsKeepTheRules(t *testing.T) {
	t.Parallel()
	g := newStreamGate(t)
	who := auth.Identity{Bindings: []auth.Binding{{Account: "dev", Role: auth.Viewer}}}
	s := &gatedStream{
		ServerStream: &silentStream{}, ctx: context.WithValue(t.Context(), identityKey{}, who),
		call: g.newCall(headracev1.ExecutionService_TailLog_FullMethodName),
	}
	refused := func(m *headracev1.TailLogRequest) service.Kind {
		var refusal *service.Error
		require.ErrorAs(t, s.RecvMsg(m), &refusal)
		return refusal.Kind
	}
	require.Equal(t, service.KindInvalid, refused(&headracev1.TailLogRequest{}))
	require.NoError(t, s.RecvMsg(&headracev1.TailLogRequest{Name: "accounts/dev/x", ActionExecutionId: "x"}))
	require.Equal(t, service.KindDenied, refused(&headracev1.TailLogRequest{Name: "accounts/prod/x", ActionExecutionId: "x"}))
}

type silentStream struct{ grpc.ServerStream }

func (*silentStream) RecvMsg(any) error { return nil }

func TestTextOfErrorsIsCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä", 1<<20)
	s, log := answer(t, func(context.Context, any) (any, error) {
		return nil, &service.Error{Kind: service.KindNotFound, Reason: pipeline.ReasonNotFound, Message: long}
	})
	require.Less(t, len(s.Message()), 1100)
	require.Len(t, s.Details(), 1, "the details stay")
	require.Less(t, len(log), 2000)
	_, log = answer(t, func(context.Context, any) (any, error) { return nil, errors.New(long) })
	require.Less(t, len(log), 2000)
}

// dialStranger serves a gate and returns a connection without a token.
func dialStranger(t *testing.T, change func(*gate)) (*Server, *grpc.ClientConn) {
	t.Helper()
	s := New(Config{
		Accounts: newStreamGate(t).accounts, Log: hclog.NewNullLogger(), Clock: time.Now,
		Observe: func(string, codes.Code, time.Duration) {}, Closed: func(string, listen.Reason) {},
	})
	change(s.gate)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- s.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		require.NoError(t, <-done)
	})
	return s, conn
}

// silent begins a call of a method and never sends its message.
func silent(ctx context.Context, t *testing.T, conn *grpc.ClientConn, method string) grpc.ClientStream {
	t.Helper()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: true}, method)
	require.NoError(t, err)
	return stream
}

func TestCallsWithoutATokenAreRefusedBeforeTheirMessage(t *testing.T) {
	t.Parallel()
	_, conn := dialStranger(t, func(*gate) {})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, token := range []string{"", "Bearer hr_unknown", "Basic x"} {
		with := ctx
		if token != "" {
			with = metadata.AppendToOutgoingContext(ctx, "authorization", token)
		}
		for _, method := range []string{headracev1.PipelineService_CreatePipeline_FullMethodName, "/headrace.v1.Nothing/AtAll"} {
			err := silent(with, t, conn, method).RecvMsg(&headracev1.CreatePipelineResponse{})
			require.Equal(t, codes.Unauthenticated, status.Code(err), "%s: %v", method, err)
		}
	}
}

// The calls of one connection without a token are bounded, and those of others are not kept
// out by them.
func TestStrangersHaveFewCallsAtOnce(t *testing.T) {
	t.Parallel()
	const method = grpc_health_v1.Health_Check_FullMethodName
	_, conn := dialStranger(t, func(g *gate) { g.messageTimeout = time.Hour })
	other, err := grpc.NewClient(conn.Target(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, other.Close()) })
	ask := func(conn *grpc.ClientConn) codes.Code {
		_, err := grpc_health_v1.NewHealthClient(conn).Check(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		return status.Code(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for range strangerCalls {
		silent(ctx, t, conn, method)
	}
	require.Equal(t, codes.Unavailable, ask(conn), "the calls of a connection arrive in their order")
	require.Equal(t, codes.OK, ask(other))
	cancel()
	require.Eventually(t, func() bool { return ask(conn) == codes.OK }, 10*time.Second, time.Millisecond)
}

func TestStrangersCannotKeepTheirPlace(t *testing.T) {
	t.Parallel()
	var refused atomic.Int64
	_, conn := dialStranger(t, func(g *gate) {
		g.messageTimeout = 10 * time.Millisecond
		g.observe = func(method string, code codes.Code, _ time.Duration) {
			if g.registered[method] && code == codes.DeadlineExceeded {
				refused.Add(1)
			}
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range strangerCalls {
		for _, method := range []string{headracev1.ServerService_GetServerInfo_FullMethodName, grpc_health_v1.Health_Watch_FullMethodName} {
			err := silent(ctx, t, conn, method).RecvMsg(&headracev1.GetServerInfoResponse{})
			require.Equal(t, codes.DeadlineExceeded, status.Code(err), "%s: %v", method, err)
		}
	}
	require.Eventually(t, func() bool { return refused.Load() == 2*strangerCalls }, 10*time.Second, time.Millisecond, "metrics count them")
	// A watch whose message has arrived goes on.
	watch, err := grpc_health_v1.NewHealthClient(conn).Watch(ctx, &grpc_health_v1.HealthCheckRequest{})
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)
	require.Error(t, silent(ctx, t, conn, grpc_health_v1.Health_Watch_FullMethodName).RecvMsg(&headracev1.GetServerInfoResponse{}))
	require.NoError(t, watch.Context().Err())
}

// A call of somebody with a token whose message never comes.
func TestCallsWithoutTheirMessageEnd(t *testing.T) {
	t.Parallel()
	known := newStreamGate(t)
	_, conn := dialStranger(t, func(g *gate) { g.accounts, g.callTimeout = known.accounts, 10*time.Millisecond })
	header, _ := metadata.FromIncomingContext(known.ctx)
	ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(t.Context(), header), 30*time.Second)
	defer cancel()
	for range 2 * maxStreams {
		err := silent(ctx, t, conn, headracev1.ServerService_WhoAmI_FullMethodName).RecvMsg(&headracev1.WhoAmIResponse{})
		require.Error(t, err)
		require.NotEqual(t, codes.Unauthenticated, status.Code(err))
	}
	require.NoError(t, ctx.Err())
}

func TestStreamsMayGoOnForLong(t *testing.T) {
	t.Parallel()
	var streams []string
	for path, m := range methodsByPath() {
		if m.streams {
			streams = append(streams, path)
		}
	}
	require.ElementsMatch(t, []string{
		headracev1.ExecutionService_WatchExecution_FullMethodName,
		headracev1.ExecutionService_TailLog_FullMethodName,
		headracev1.ExecutionService_SearchLogs_FullMethodName,
		headracev1.ExecutionService_GetArtifact_FullMethodName,
		headracev1.WatchService_WatchAccount_FullMethodName,
		grpc_health_v1.Health_Watch_FullMethodName,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
	}, streams)
}

// A method that the gate has no facts of is closed to everybody.
func TestGateKnowsEveryMethod(t *testing.T) {
	t.Parallel()
	s, _ := dialStranger(t, func(*gate) {})
	var served []string
	for name, service := range s.grpc.GetServiceInfo() {
		for _, method := range service.Methods {
			path := "/" + name + "/" + method.Name
			served = append(served, path)
			require.Equal(t, method.IsServerStream, s.gate.methods[path].streams, path)
		}
	}
	require.ElementsMatch(t, served, slices.Collect(maps.Keys(s.gate.methods)))
	closed := s.gate.newCall("/headrace.v1.Nothing/AtAll")
	require.False(t, closed.method.open())
	everything := auth.Identity{Bindings: []auth.Binding{{Account: auth.Every, Role: auth.Admin}}}
	require.Error(t, closed.accept(context.WithValue(t.Context(), identityKey{}, everything), &headracev1.WhoAmIRequest{}))
}

func TestReadsAreLoggedAsReads(t *testing.T) {
	t.Parallel()
	for path, reads := range map[string]bool{
		headracev1.ExecutionService_SearchLogs_FullMethodName:     true,
		headracev1.ServerService_WhoAmI_FullMethodName:            true,
		grpc_health_v1.Health_Check_FullMethodName:                true,
		headracev1.ExecutionService_StartExecution_FullMethodName: false,
		headracev1.RetentionService_ApplyRetention_FullMethodName: false,
	} {
		var log bytes.Buffer
		logger := hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug})
		g := &gate{
			log: logger, strangers: logger, clock: time.Now,
			observe: func(string, codes.Code, time.Duration) {}, methods: methodsByPath(),
		}
		require.NoError(t, g.newCall(path).end(t.Context(), nil, nil))
		level := map[bool]string{true: "[DEBUG]", false: "[INFO]"}[reads]
		require.Contains(t, log.String(), level, path)
	}
}

// What the server serves, headrace api can call.
func TestClientKnowsEveryMethod(t *testing.T) {
	t.Parallel()
	s, _ := dialStranger(t, func(*gate) {})
	var served []string
	for name, service := range s.grpc.GetServiceInfo() {
		if strings.HasPrefix(name, "headrace.v1.") {
			for _, method := range service.Methods {
				served = append(served, method.Name)
			}
		}
	}
	require.ElementsMatch(t, served, client.Methods())
	require.Contains(t, served, "ApplyRetention")
}

// endless is a server whose logs never end.
type endless struct {
	headracev1.UnimplementedExecutionServiceServer
	ended chan error
}

func (e *endless) TailLog(_ *headracev1.TailLogRequest, stream grpc.ServerStreamingServer[headracev1.TailLogResponse]) error {
	for {
		if err := stream.Send(&headracev1.TailLogResponse{Data: make([]byte, 64<<10)}); err != nil {
			e.ended <- err
			return err
		}
	}
}

// A client that is there, and takes nothing: its stream ends, and says why once it
// reads again.
func TestStreamsThatNobodyReadsEnd(t *testing.T) {
	t.Parallel()
	known := newStreamGate(t)
	known.stall = 200 * time.Millisecond
	server := grpc.NewServer(grpc.StreamInterceptor(known.stream))
	logs := &endless{ended: make(chan error, 1)}
	headracev1.RegisterExecutionServiceServer(server, logs)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, conn.Close())
		server.Stop()
		require.NoError(t, <-done)
	})
	header, _ := metadata.FromIncomingContext(known.ctx)
	ctx := metadata.NewOutgoingContext(t.Context(), header)
	tail, err := headracev1.NewExecutionServiceClient(conn).TailLog(ctx, &headracev1.TailLogRequest{Name: "x", ActionExecutionId: "x"})
	require.NoError(t, err)
	require.Error(t, <-logs.ended)
	for err == nil {
		_, err = tail.Recv()
	}
	require.Equal(t, codes.ResourceExhausted, status.Code(err))
	require.ErrorContains(t, err, "read nothing for 200ms")
}

func TestOneCallerHasSoManyStreams(t *testing.T) {
	t.Parallel()
	var streams streamsOf
	var leave func()
	for range maxStreamsEach {
		var err error
		leave, err = streams.enter("ann")
		require.NoError(t, err)
	}
	_, err := streams.enter("ann")
	s, _ := toStatus(t.Context(), err)
	require.Equal(t, codes.ResourceExhausted, s.Code())
	info, ok := s.Details()[1].(*errdetails.RetryInfo)
	require.True(t, ok)
	require.Equal(t, streamsRetry, info.GetRetryDelay().AsDuration())
	_, err = streams.enter("bob")
	require.NoError(t, err, "others do not notice")
	leave()
	_, err = streams.enter("ann")
	require.NoError(t, err)
}

// An admin of another account can give a token the name of somebody else.
func TestStreamsOfATokenAreNotThoseOfItsName(t *testing.T) {
	t.Parallel()
	g := newStreamGate(t)
	secret := auth.NewSecret()
	require.NoError(t, g.store.Update(t.Context(), func(ctx context.Context, tx store.Tx) error {
		return tx.CreateToken(ctx, auth.Token{ID: "t2", Hash: auth.Hash(secret), Principal: "ann"})
	}))
	open := func(ctx context.Context) error {
		info := &grpc.StreamServerInfo{FullMethod: headracev1.ExecutionService_WatchExecution_FullMethodName}
		return g.stream(nil, &fakeStream{ctx: ctx}, info, func(any, grpc.ServerStream) error { return nil })
	}
	for range maxStreamsEach {
		_, err := g.streams.enter("t2")
		require.NoError(t, err)
	}
	other := metadata.NewIncomingContext(t.Context(), metadata.Pairs("authorization", "Bearer "+secret))
	require.Equal(t, codes.ResourceExhausted, status.Code(open(other)))
	require.NoError(t, open(g.ctx))
}
