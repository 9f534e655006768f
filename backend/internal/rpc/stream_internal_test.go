package rpc

import (
	"context"
	"errors"
	"net"
	"path/filepath"
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
		return tx.CreateToken(ctx, store.Token{ID: "t", Hash: auth.Hash(secret), Principal: "ann", ExpiresAt: begin.Add(time.Hour)})
	}))
	draining, drain := context.WithCancel(t.Context())
	g.drain = drain
	g.gate = &gate{
		accounts: service.NewAccounts(service.AccountsConfig{Store: opened, Clock: clock, Reports: service.NewReports(opened, clock)}), stall: time.Minute,
		log: hclog.NewNullLogger(), clock: clock, draining: draining, recheck: time.Millisecond,
		observe: func(string, codes.Code, time.Duration) {}, validator: newValidator,
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
	s := &gatedStream{ServerStream: &silentStream{}, ctx: t.Context(), gate: g.gate}
	var refusal *service.Error
	require.ErrorAs(t, s.RecvMsg(&headracev1.TailLogRequest{}), &refusal)
	require.Equal(t, service.KindInvalid, refusal.Kind)
	require.NoError(t, s.RecvMsg(&headracev1.TailLogRequest{Name: "x", ActionExecutionId: "x"}))
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
		Observe: func(string, codes.Code, time.Duration) {},
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

func TestStrangersHaveFewCallsAtOnce(t *testing.T) {
	t.Parallel()
	const method = headracev1.ServerService_GetServerInfo_FullMethodName
	s, conn := dialStranger(t, func(*gate) {})
	ask := func() codes.Code {
		_, err := headracev1.NewServerServiceClient(conn).GetServerInfo(t.Context(), &headracev1.GetServerInfoRequest{})
		return status.Code(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	for range maxStrangers {
		silent(ctx, t, conn, method)
	}
	require.Eventually(t, func() bool { return len(s.gate.strangers[method]) == maxStrangers }, 10*time.Second, time.Millisecond)
	require.Equal(t, codes.Unavailable, ask())
	cancel()
	require.Eventually(t, func() bool { return ask() == codes.OK }, 10*time.Second, time.Millisecond)
}

func TestStrangersCannotKeepTheirPlace(t *testing.T) {
	t.Parallel()
	const method = headracev1.ServerService_GetServerInfo_FullMethodName
	s, conn := dialStranger(t, func(g *gate) { g.strangerTimeout = 10 * time.Millisecond })
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for range maxStrangers {
		require.Error(t, silent(ctx, t, conn, method).RecvMsg(&headracev1.GetServerInfoResponse{}))
	}
	require.NoError(t, ctx.Err())
	require.Eventually(t, func() bool { return len(s.gate.strangers[method]) == 0 }, 10*time.Second, time.Millisecond)
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
	s, _ := dialStranger(t, func(*gate) {})
	require.Equal(t, map[string]bool{
		headracev1.ExecutionService_WatchExecution_FullMethodName:        true,
		headracev1.ExecutionService_TailLog_FullMethodName:               true,
		headracev1.ExecutionService_SearchLogs_FullMethodName:            true,
		grpc_health_v1.Health_Watch_FullMethodName:                       true,
		"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo":      true,
		"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": true,
	}, s.gate.streaming)
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
		return tx.CreateToken(ctx, store.Token{ID: "t2", Hash: auth.Hash(secret), Principal: "ann"})
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

func TestListenerHasRoomForSoMany(t *testing.T) {
	t.Parallel()
	inner, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	l := &limitedListener{Listener: inner, most: 2, log: hclog.NewNullLogger()}
	accepted := make(chan net.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- conn
		}
	}()
	dial := func() net.Conn {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", inner.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	}
	dial()
	dial()
	first, second := <-accepted, <-accepted
	third := dial()
	require.NoError(t, third.SetReadDeadline(time.Now().Add(10*time.Second)))
	_, err = third.Read(make([]byte, 1))
	require.Error(t, err)
	var timeout net.Error
	require.False(t, errors.As(err, &timeout) && timeout.Timeout(), "it is closed at once: %v", err)
	require.NoError(t, first.Close())
	_ = first.Close()
	dial()
	fourth := <-accepted
	require.Empty(t, accepted, "one that is closed twice makes room once")
	require.NoError(t, second.Close())
	require.NoError(t, fourth.Close())
	require.NoError(t, l.Close())
	<-done
}
