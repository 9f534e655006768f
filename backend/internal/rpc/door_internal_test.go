package rpc

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
)

// entrance is a door on a listener, with a token that it takes.
type entrance struct {
	*httptest.Server
	door   *door
	bearer string
}

// openDoor serves a door before a gRPC server with some services.
func openDoor(t *testing.T, known *streamGate, register func(*grpc.Server), change func(*httptest.Server)) *entrance {
	t.Helper()
	g := known.gate
	for _, timeout := range []*time.Duration{&g.messageTimeout, &g.anonymousTimeout, &g.callTimeout} {
		if *timeout == 0 {
			*timeout = time.Minute
		}
	}
	inner := grpc.NewServer(grpc.UnaryInterceptor(g.unary), grpc.StreamInterceptor(g.stream))
	register(inner)
	e := &entrance{door: newDoor(g, inner, false)}
	handler, err := e.door.handler()
	require.NoError(t, err)
	e.Server = httptest.NewUnstartedServer(handler)
	e.Config.ConnContext = listen.WithConn
	s := &Server{gate: g, closed: func(string, listen.Reason) {}}
	e.Listener = s.LimitHTTP(e.Listener)
	change(e.Server)
	if e.TLS == nil {
		e.Start()
	} else {
		e.StartTLS()
	}
	t.Cleanup(func() {
		e.CloseClientConnections()
		e.Close()
		inner.Stop()
	})
	header, _ := metadata.FromIncomingContext(known.ctx)
	e.bearer = header.Get("authorization")[0]
	return e
}

func asItIs(*httptest.Server) {}

// begin sends the header of a call of a method of Connect on a connection of its own, and returns
// the connection.
func (e *entrance) begin(t *testing.T, method, authorization string, length int) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", e.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	if authorization != "" {
		authorization = "Authorization: " + authorization + "\r\n"
	}
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/proto\r\nConnect-Protocol-Version: 1\r\n%sContent-Length: %d\r\n\r\n",
		method, authorization, length)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	return conn
}

// answerOf returns what a call was answered.
func answerOf(t *testing.T, conn net.Conn) (code int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, string(data)
}

func TestBrowsersWithoutATokenAreRefusedBeforeTheirMessage(t *testing.T) {
	t.Parallel()
	known := newStreamGate(t)
	known.messageTimeout = 100 * time.Millisecond
	e := openDoor(t, known, func(*grpc.Server) {}, asItIs)
	for _, token := range []string{"", "Bearer hr_unknown", "Basic x"} {
		// None of the message is sent.
		code, body := answerOf(t, e.begin(t, headracev1.PipelineService_CreatePipeline_FullMethodName, token, 1<<20))
		require.Equal(t, http.StatusUnauthorized, code)
		require.Contains(t, body, `"code":"unauthenticated"`)
		require.Contains(t, body, "google.rpc.ErrorInfo", "the details come too")
	}
}

func TestBrowsersCannotKeepTheirPlace(t *testing.T) {
	t.Parallel()
	known := newStreamGate(t)
	known.messageTimeout = 10 * time.Millisecond
	e := openDoor(t, known, func(inner *grpc.Server) { headracev1.RegisterServerServiceServer(inner, &infoServer{}) }, asItIs)
	for range 2 * strangerCalls {
		code, body := answerOf(t, e.begin(t, headracev1.ServerService_GetServerInfo_FullMethodName, "", 100))
		require.Equal(t, http.StatusGatewayTimeout, code, body)
		require.Contains(t, body, "deadline_exceeded")
	}
	code, body := answerOf(t, e.begin(t, headracev1.ServerService_GetServerInfo_FullMethodName, "", strangerBytes+1))
	require.Equal(t, http.StatusTooManyRequests, code)
	require.Contains(t, body, "at most 65536")
	// A caller with a token, whose message never comes.
	known.callTimeout = 10 * time.Millisecond
	code, body = answerOf(t, e.begin(t, headracev1.ServerService_WhoAmI_FullMethodName, e.bearer, 100))
	require.Equal(t, http.StatusGatewayTimeout, code, body)
}

// On HTTP/2 a connection has many calls.
func TestStrangersHaveFewCallsAtOnceByHTTP(t *testing.T) {
	t.Parallel()
	e := openDoor(t, newStreamGate(t), func(inner *grpc.Server) { headracev1.RegisterServerServiceServer(inner, &infoServer{}) },
		func(s *httptest.Server) { s.EnableHTTP2, s.TLS = true, &tls.Config{MinVersion: tls.VersionTLS13} })
	client := headracev1Client(e.Client(), e.URL)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ask := func() error {
		_, err := client.CallUnary(t.Context(), connect.NewRequest(&headracev1.GetServerInfoRequest{}))
		return err
	}
	require.NoError(t, ask())
	var strangers sync.WaitGroup
	for range strangerCalls {
		// It tries again if the call of ask had its place.
		strangers.Go(func() {
			for ctx.Err() == nil {
				// Nothing is written to it.
				body, _ := io.Pipe()
				request, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL+headracev1.ServerService_GetServerInfo_FullMethodName, body)
				if err != nil {
					return
				}
				request.ContentLength = 10
				request.Header.Set("Content-Type", "application/proto")
				request.Header.Set("Connect-Protocol-Version", "1")
				if resp, err := e.Client().Do(request); err == nil {
					_ = resp.Body.Close()
				}
			}
		})
	}
	require.Eventually(t, func() bool { return connect.CodeOf(ask()) == connect.CodeUnavailable }, 10*time.Second, time.Millisecond)
	cancel()
	strangers.Wait()
	require.Eventually(t, func() bool { return ask() == nil }, 10*time.Second, time.Millisecond)
}

func headracev1Client(c *http.Client, url string) *connect.Client[headracev1.GetServerInfoRequest, headracev1.GetServerInfoResponse] {
	return connect.NewClient[headracev1.GetServerInfoRequest, headracev1.GetServerInfoResponse](c, url+headracev1.ServerService_GetServerInfo_FullMethodName)
}

// paced is a server whose logs get a line now and then.
type paced struct {
	headracev1.UnimplementedExecutionServiceServer
}

func (paced) TailLog(_ *headracev1.TailLogRequest, stream grpc.ServerStreamingServer[headracev1.TailLogResponse]) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		if err := stream.Send(&headracev1.TailLogResponse{Data: []byte("line\n")}); err != nil {
			return err
		}
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-ticker.C:
		}
	}
}

// tail opens a stream.
func (e *entrance) tail(ctx context.Context, t *testing.T, options ...connect.ClientOption) *connect.ServerStreamForClient[headracev1.TailLogResponse] {
	t.Helper()
	c := connect.NewClient[headracev1.TailLogRequest, headracev1.TailLogResponse](e.Client(), e.URL+headracev1.ExecutionService_TailLog_FullMethodName, options...)
	request := connect.NewRequest(&headracev1.TailLogRequest{Name: "x", ActionExecutionId: "x"})
	request.Header().Set("Authorization", e.bearer)
	stream, err := c.CallServerStream(ctx, request)
	require.NoError(t, err)
	return stream
}

// The timeouts of an HTTP server, which are for strangers, end no stream. On HTTP/2 they are
// those of a stream, otherwise of a connection.
func TestStreamsToBrowsersMayGoOnForLong(t *testing.T) {
	t.Parallel()
	const timeout = 100 * time.Millisecond
	for name, change := range map[string]func(*httptest.Server){
		"HTTP/1.1": asItIs,
		"HTTP/2":   func(s *httptest.Server) { s.EnableHTTP2, s.TLS = true, &tls.Config{MinVersion: tls.VersionTLS13} },
	} {
		for protocol, option := range map[string]connect.ClientOption{"Connect": connect.WithClientOptions(), "gRPC-Web": connect.WithGRPCWeb()} {
			t.Run(name+" "+protocol, func(t *testing.T) {
				t.Parallel()
				known := newStreamGate(t)
				e := openDoor(t, known, func(inner *grpc.Server) { headracev1.RegisterExecutionServiceServer(inner, paced{}) }, func(s *httptest.Server) {
					s.Config.ReadTimeout, s.Config.WriteTimeout = timeout, timeout
					change(s)
				})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				stream := e.tail(ctx, t, option)
				for began := time.Now(); time.Since(began) < 4*timeout; {
					require.True(t, stream.Receive(), stream.Err())
				}
				// It ends with the server, and says so.
				known.drain()
				for stream.Receive() {
					continue
				}
				require.Equal(t, connect.CodeUnavailable, connect.CodeOf(stream.Err()))
			})
		}
	}
}

// A browser that is there, and takes nothing.
func TestStreamsThatNoBrowserReadsEnd(t *testing.T) {
	t.Parallel()
	known := newStreamGate(t)
	known.stall = 200 * time.Millisecond
	logs := &endless{ended: make(chan error, 1)}
	e := openDoor(t, known, func(inner *grpc.Server) { headracev1.RegisterExecutionServiceServer(inner, logs) }, asItIs)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", e.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	message := "\x00\x00\x00\x00\x06\x0a\x01x\x12\x01x"
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\nConnect-Protocol-Version: 1\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		headracev1.ExecutionService_TailLog_FullMethodName, e.bearer, len(message), message)
	require.NoError(t, err)
	require.Error(t, <-logs.ended)
	e.door.finish(t.Context())
}

// slow is a server whose answers wait.
type slow struct {
	headracev1.UnimplementedServerServiceServer
	began, end chan struct{}
}

func (s slow) WhoAmI(context.Context, *headracev1.WhoAmIRequest) (*headracev1.WhoAmIResponse, error) {
	close(s.began)
	<-s.end
	return &headracev1.WhoAmIResponse{Principal: "ann"}, nil
}

func TestAStopWaitsForTheCallsOfBrowsers(t *testing.T) {
	t.Parallel()
	s := slow{began: make(chan struct{}), end: make(chan struct{})}
	e := openDoor(t, newStreamGate(t), func(inner *grpc.Server) { headracev1.RegisterServerServiceServer(inner, s) }, asItIs)
	conn := e.begin(t, headracev1.ServerService_WhoAmI_FullMethodName, e.bearer, 0)
	<-s.began
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.door.finish(ctx)
	code, body := answerOf(t, e.begin(t, headracev1.ServerService_WhoAmI_FullMethodName, e.bearer, 0))
	require.Equal(t, http.StatusServiceUnavailable, code, body)
	close(s.end)
	e.door.finish(t.Context())
	code, body = answerOf(t, conn)
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "ann")
}

func TestOtherRequestsAreNotCalls(t *testing.T) {
	t.Parallel()
	e := openDoor(t, newStreamGate(t), func(*grpc.Server) {}, asItIs)
	for name, test := range map[string]struct {
		method, path, contentType string
		code                      int
	}{
		"by a link":            {http.MethodGet, headracev1.ServerService_GetServerInfo_FullMethodName + "?connect=v1&encoding=json&message={}", "", http.StatusMethodNotAllowed},
		"of a form":            {http.MethodPost, headracev1.ServerService_GetServerInfo_FullMethodName, "application/x-www-form-urlencoded", http.StatusNotFound},
		"of plain text":        {http.MethodPost, headracev1.ServerService_GetServerInfo_FullMethodName, "text/plain", http.StatusNotFound},
		"of another service":   {http.MethodPost, "/grpc.health.v1.Health/Check", "application/grpc-web", http.StatusNotFound},
		"of an unknown method": {http.MethodPost, PathPrefix + "ServerService/Nothing", "application/grpc-web", http.StatusNotFound},
	} {
		request, err := http.NewRequestWithContext(t.Context(), test.method, e.URL+test.path, strings.NewReader(""))
		require.NoError(t, err)
		request.Header.Set("Content-Type", test.contentType)
		resp, err := e.Client().Do(request)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, test.code, resp.StatusCode, name)
	}
}

// large is a server with a large answer.
type large struct {
	headracev1.UnimplementedServerServiceServer
}

func (large) WhoAmI(context.Context, *headracev1.WhoAmIRequest) (*headracev1.WhoAmIResponse, error) {
	return &headracev1.WhoAmIResponse{Principal: strings.Repeat("ann", 10_000)}, nil
}

func (large) GetServerInfo(context.Context, *headracev1.GetServerInfoRequest) (*headracev1.GetServerInfoResponse, error) {
	return &headracev1.GetServerInfoResponse{Version: "1"}, nil
}

func TestLargeAnswersToBrowsersAreCompressed(t *testing.T) {
	t.Parallel()
	e := openDoor(t, newStreamGate(t), func(inner *grpc.Server) { headracev1.RegisterServerServiceServer(inner, large{}) }, asItIs)
	ask := func(method, contentType, accepted string) (header http.Header, body []byte) {
		text := "{}"
		if contentType != "application/json" {
			text = "\x00\x00\x00\x00\x00"
		}
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL+method, strings.NewReader(text))
		require.NoError(t, err)
		for name, value := range map[string]string{
			"Content-Type": contentType, "Connect-Protocol-Version": "1", "Authorization": e.bearer, "Accept-Encoding": accepted,
		} {
			request.Header.Set(name, value)
		}
		resp, err := e.Client().Do(request)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		body, err = io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		return resp.Header, body
	}
	const who, info = headracev1.ServerService_WhoAmI_FullMethodName, headracev1.ServerService_GetServerInfo_FullMethodName
	_, plain := ask(who, "application/json", "identity")
	require.Greater(t, len(plain), 30_000)
	header, packed := ask(who, "application/json", "gzip, deflate, br")
	require.Equal(t, "gzip", header.Get("Content-Encoding"))
	require.Less(t, len(packed), 1000)
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	require.NoError(t, err)
	data, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.JSONEq(t, string(plain), string(data))
	for _, test := range [][3]string{{who, "application/json", "br"}, {info, "application/json", "gzip"}, {who, "application/grpc-web+proto", "gzip"}} {
		header, _ := ask(test[0], test[1], test[2])
		require.Empty(t, header.Get("Content-Encoding"), "%v", test)
	}
	// A client of Connect reads it.
	c := connect.NewClient[headracev1.WhoAmIRequest, headracev1.WhoAmIResponse](e.Client(), e.URL+who)
	request := connect.NewRequest(&headracev1.WhoAmIRequest{})
	request.Header().Set("Authorization", e.bearer)
	answer, err := c.CallUnary(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, answer.Msg.GetPrincipal(), 30_000)
}

// beginStream sends the header of a stream of Connect, and some of its message.
func (e *entrance) beginStream(t *testing.T, method string, length int, some string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", e.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/connect+proto\r\nConnect-Protocol-Version: 1\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s",
		method, e.bearer, length, some)
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(30*time.Second)))
	return conn
}

// A stranger's few bytes of gzip must not become megabytes.
func TestStrangersCannotCompress(t *testing.T) {
	t.Parallel()
	e := openDoor(t, newStreamGate(t), func(inner *grpc.Server) { headracev1.RegisterServerServiceServer(inner, large{}) }, asItIs)
	// The message has an unknown field, which binary allows.
	packed := pack(t, append([]byte("\x7a\x80\x80\x80\x01"), make([]byte, 1<<21)...))
	require.Less(t, len(packed), 4<<10)
	code, body := e.post(t, headracev1.ServerService_GetServerInfo_FullMethodName, packed, map[string]string{"Content-Type": "application/proto", "Content-Encoding": "gzip"})
	require.Equal(t, http.StatusNotImplemented, code, body)
	require.Contains(t, body, "must not be compressed")
	code, body = e.post(t, headracev1.ServerService_GetServerInfo_FullMethodName, pack(t, nil), map[string]string{"Content-Type": "application/grpc-web", "Grpc-Encoding": "gzip"})
	require.Equal(t, http.StatusOK, code)
	require.Contains(t, body, "must not be compressed")
	for _, coding := range []string{"", "identity"} {
		code, body = e.post(t, headracev1.ServerService_GetServerInfo_FullMethodName, nil, map[string]string{"Content-Type": "application/proto", "Content-Encoding": coding})
		require.Equal(t, http.StatusOK, code, body)
	}
	code, body = e.post(t, headracev1.ServerService_WhoAmI_FullMethodName, pack(t, []byte("{}")), map[string]string{"Content-Encoding": "gzip"})
	require.Equal(t, http.StatusOK, code, body)
}

// pack compresses.
func pack(t *testing.T, data []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, err := w.Write(data)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return packed.Bytes()
}

// post sends a call with the token and returns its answer. The content type is JSON if the header
// has none.
func (e *entrance) post(t *testing.T, method string, message []byte, header map[string]string) (code int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, e.URL+method, bytes.NewReader(message))
	require.NoError(t, err)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Connect-Protocol-Version", "1")
	request.Header.Set("Authorization", e.bearer)
	for name, value := range header {
		request.Header.Set(name, value)
	}
	resp, err := e.Client().Do(request)
	require.NoError(t, err)
	data, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode, fmt.Sprint(string(data), resp.Header["Grpc-Message"], resp.Header["Grpc-Status"])
}

func TestStreamsWithoutAMessageEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change   func(*streamGate)
		register func(*grpc.Server)
		code     string
	}{
		"that are refused": {func(g *streamGate) { g.messageTimeout = 10 * time.Millisecond }, func(*grpc.Server) {}, "unimplemented"},
		"that were let in": {
			func(g *streamGate) { g.callTimeout = 10 * time.Millisecond },
			func(inner *grpc.Server) { headracev1.RegisterExecutionServiceServer(inner, paced{}) }, "deadline_exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			known := newStreamGate(t)
			test.change(known)
			e := openDoor(t, known, test.register, asItIs)
			code, body := answerOf(t, e.beginStream(t, headracev1.ExecutionService_TailLog_FullMethodName, 100, "\x00"))
			require.Equal(t, http.StatusOK, code)
			require.Contains(t, body, `"code":"`+test.code+`"`)
			e.door.finish(t.Context())
		})
	}
}

func TestMessagesThatCannotBeReadAreMistakesOfTheCaller(t *testing.T) {
	t.Parallel()
	e := openDoor(t, newStreamGate(t), func(inner *grpc.Server) {
		headracev1.RegisterServerServiceServer(inner, large{})
		headracev1.RegisterExecutionServiceServer(inner, paced{})
	}, asItIs)
	const unary, stream = headracev1.ServerService_WhoAmI_FullMethodName, headracev1.ExecutionService_TailLog_FullMethodName
	broken := pack(t, []byte("{}"))
	broken[len(broken)-5] ^= 1
	for name, test := range map[string]struct {
		method, message string
		header          map[string]string
	}{
		"no JSON":                 {unary, "", nil},
		"wrong JSON":              {unary, "{", nil},
		"wrong protobuf":          {unary, "\xff", map[string]string{"Content-Type": "application/proto"}},
		"not gzip":                {unary, "{}", map[string]string{"Content-Encoding": "gzip"}},
		"cut gzip":                {unary, string(broken[:15]), map[string]string{"Content-Encoding": "gzip"}},
		"gzip with a wrong sum":   {unary, string(broken), map[string]string{"Content-Encoding": "gzip"}},
		"no message of gRPC-Web":  {unary, "", map[string]string{"Content-Type": "application/grpc-web"}},
		"a cut one of gRPC-Web":   {unary, "\x00\x00\x00\x00\x05\xff", map[string]string{"Content-Type": "application/grpc-web"}},
		"a wrong one of gRPC-Web": {unary, "\x00\x00\x00\x00\x01\xff", map[string]string{"Content-Type": "application/grpc-web"}},
		"no message of a stream":  {stream, "", map[string]string{"Content-Type": "application/connect+proto"}},
		"a cut one of a stream":   {stream, "\x00\x00\x00\x00\x05\xff", map[string]string{"Content-Type": "application/connect+proto"}},
		"a wrong one of a stream": {stream, "\x00\x00\x00\x00\x01\xff", map[string]string{"Content-Type": "application/connect+proto"}},
		"two of a stream":         {stream, strings.Repeat("\x00\x00\x00\x00\x00", 2), map[string]string{"Content-Type": "application/connect+proto"}},
	} {
		code, body := e.post(t, test.method, []byte(test.message), test.header)
		t.Log(name, code, body)
		require.Less(t, code, 500, "%s: %s", name, body)
		require.Regexp(t, `"code":"invalid_argument"|[Gg]rpc-[Ss]tatus: 3|\[3\]$`, body, name)
	}
}
