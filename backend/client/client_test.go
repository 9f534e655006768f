package client_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// scripted answers calls with prepared errors. The real server cannot be made
// to fail on the wire in a chosen way, and it may not be imported from here.
type scripted struct {
	headracev1.UnimplementedServerServiceServer
	headracev1.UnimplementedPipelineServiceServer
	headracev1.UnimplementedExecutionServiceServer

	mu sync.Mutex
	// fail is taken from the front, one a call; nil is a success.
	fail []error
	// calls counts calls; the others keep what came with the last one.
	calls      int
	header     metadata.MD
	deadline   bool
	requestIDs []string
}

func (s *scripted) next(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	s.header, _ = metadata.FromIncomingContext(ctx)
	_, s.deadline = ctx.Deadline()
	if len(s.fail) == 0 {
		return nil
	}
	err := s.fail[0]
	s.fail = s.fail[1:]
	return err
}

func (s *scripted) WhoAmI(ctx context.Context, _ *headracev1.WhoAmIRequest) (*headracev1.WhoAmIResponse, error) {
	return &headracev1.WhoAmIResponse{Principal: "alice"}, s.next(ctx)
}

func (s *scripted) StartExecution(ctx context.Context, r *headracev1.StartExecutionRequest) (*headracev1.StartExecutionResponse, error) {
	s.mu.Lock()
	s.requestIDs = append(s.requestIDs, r.GetRequestId())
	s.mu.Unlock()
	return &headracev1.StartExecutionResponse{}, s.next(ctx)
}

func (s *scripted) StopExecution(ctx context.Context, _ *headracev1.StopExecutionRequest) (*headracev1.StopExecutionResponse, error) {
	return &headracev1.StopExecutionResponse{}, s.next(ctx)
}

func (s *scripted) WatchExecution(
	_ *headracev1.WatchExecutionRequest, stream grpc.ServerStreamingServer[headracev1.WatchExecutionResponse],
) error {
	if err := stream.Send(&headracev1.WatchExecutionResponse{Event: &headracev1.Event{Position: 1}}); err != nil {
		return err
	}
	return s.next(stream.Context())
}

// serve listens on a free port of the loopback interface until the test ends.
func (s *scripted) serve(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	return serve(t, s, options...)
}

// contractServer is what the tests serve of the contract.
type contractServer interface {
	headracev1.ServerServiceServer
	headracev1.PipelineServiceServer
	headracev1.ExecutionServiceServer
}

func serve(t *testing.T, s contractServer, options ...grpc.ServerOption) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer(options...)
	headracev1.RegisterServerServiceServer(server, s)
	headracev1.RegisterPipelineServiceServer(server, s)
	headracev1.RegisterExecutionServiceServer(server, s)
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		require.NoError(t, <-done)
	})
	return listener.Addr().String()
}

func dial(t *testing.T, cfg client.Config) *client.Client {
	t.Helper()
	c, err := client.Dial(cfg, "test/1")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, c.Close()) })
	return c
}

func TestCallsCarryTokenAgentAndDeadline(t *testing.T) {
	t.Parallel()
	server := &scripted{}
	c := dial(t, client.Config{Endpoint: server.serve(t), Token: "secret"})
	_, err := c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"Bearer secret"}, server.header.Get("authorization"))
	require.Contains(t, server.header.Get("user-agent")[0], "test/1")
	require.True(t, server.deadline)
}

func TestRetry(t *testing.T) {
	t.Parallel()
	gone := status.Error(codes.Unavailable, "restarting")

	t.Run("a read is sent again", func(t *testing.T) {
		t.Parallel()
		server := &scripted{fail: []error{gone, gone}}
		c := dial(t, client.Config{Endpoint: server.serve(t)})
		_, err := c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
		require.NoError(t, err)
		require.Equal(t, 3, server.calls)
	})
	t.Run("a start is sent again with the same request id", func(t *testing.T) {
		t.Parallel()
		server := &scripted{fail: []error{gone}}
		c := dial(t, client.Config{Endpoint: server.serve(t)})
		_, err := c.Executions.StartExecution(t.Context(), &headracev1.StartExecutionRequest{Pipeline: "p"})
		require.NoError(t, err)
		require.Len(t, server.requestIDs, 2)
		require.NotEmpty(t, server.requestIDs[0])
		require.Equal(t, server.requestIDs[0], server.requestIDs[1])
	})
	t.Run("a stop is not sent again", func(t *testing.T) {
		t.Parallel()
		server := &scripted{fail: []error{gone}}
		c := dial(t, client.Config{Endpoint: server.serve(t)})
		_, err := c.Executions.StopExecution(t.Context(), &headracev1.StopExecutionRequest{Name: "e"})
		require.Equal(t, codes.Unavailable, status.Code(err))
		require.Equal(t, 1, server.calls)
	})
}

func TestErrors(t *testing.T) {
	t.Parallel()
	invalid, err := status.New(codes.InvalidArgument, "the definition is invalid").WithDetails(
		&errdetails.ErrorInfo{Reason: "INVALID_DEFINITION", Domain: "headrace.dev"},
		&errdetails.BadRequest{FieldViolations: []*errdetails.BadRequest_FieldViolation{
			{Field: "stages[0].name", Description: "is empty: give the stage a name"},
			{Description: "there is one stage only: at least two are needed"},
		}},
	)
	require.NoError(t, err)
	foreign, err := status.New(codes.NotFound, "no such thing").WithDetails(&errdetails.ErrorInfo{Reason: "NOT_FOUND", Domain: "example.com"})
	require.NoError(t, err)

	tests := map[string]struct {
		token      string
		answer     error
		describe   []string
		reason     pipeline.Reason
		violations []client.Violation
	}{
		"violations are listed": {
			answer: invalid.Err(),
			describe: []string{
				"the definition is invalid", "\n  stages[0].name: is empty: give the stage a name",
				"\n  there is one stage only: at least two are needed",
			},
			reason: pipeline.ReasonInvalidDefinition,
			violations: []client.Violation{
				{Field: "stages[0].name", Description: "is empty: give the stage a name"},
				{Description: "there is one stage only: at least two are needed"},
			},
		},
		"a reason of another domain is not ours": {answer: foreign.Err(), describe: []string{"no such thing"}},
		"no token": {
			answer:   status.Error(codes.Unauthenticated, "no token"),
			describe: []string{"wants a token: set HEADRACE_TOKEN, or HEADRACE_TOKEN_FILE"},
		},
		"bad token": {
			token:    "sesame",
			answer:   status.Error(codes.Unauthenticated, "the token is revoked"),
			describe: []string{"does not accept the token: the token is revoked"},
		},
		"internal": {
			answer:   status.Error(codes.Internal, "internal error 42"),
			describe: []string{"headraced at 127.0.0.1:", "failed: internal error 42; its log says more"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := &scripted{fail: []error{test.answer}}
			c := dial(t, client.Config{Endpoint: server.serve(t), Token: test.token})
			_, err := c.Executions.StopExecution(t.Context(), &headracev1.StopExecutionRequest{})
			for _, part := range test.describe {
				require.Contains(t, client.Describe(err), part)
			}
			require.NotContains(t, client.Describe(err), "sesame")
			require.Equal(t, test.reason, client.Reason(err))
			require.Equal(t, test.violations, client.Violations(err))
			require.Equal(t, status.Code(test.answer), status.Code(err))
		})
	}
}

func TestStreamErrorsAreDescribed(t *testing.T) {
	t.Parallel()
	server := &scripted{fail: []error{status.Error(codes.Unavailable, "shutting down")}}
	c := dial(t, client.Config{Endpoint: server.serve(t)})
	stream, err := c.Executions.WatchExecution(t.Context(), &headracev1.WatchExecutionRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.ErrorContains(t, err, "cannot reach headraced at "+c.Endpoint+": shutting down; is it running")

	stream, err = c.Executions.WatchExecution(t.Context(), &headracev1.WatchExecutionRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.Equal(t, io.EOF, err)
}

// The server is there: who reads this must look at its database, not at the endpoint.
func TestDatabaseOfTheServerDownIsDescribed(t *testing.T) {
	t.Parallel()
	down, err := status.New(codes.Unavailable, "the server's database does not answer").WithDetails(
		&errdetails.ErrorInfo{Reason: string(pipeline.ReasonStoreUnavailable), Domain: pipeline.ErrorDomain})
	require.NoError(t, err)
	server := &scripted{fail: []error{down.Err()}}
	c := dial(t, client.Config{Endpoint: server.serve(t)})
	stream, err := c.Executions.WatchExecution(t.Context(), &headracev1.WatchExecutionRequest{})
	require.NoError(t, err)
	_, err = stream.Recv()
	require.NoError(t, err)
	_, err = stream.Recv()
	require.EqualError(t, err, "headraced at "+c.Endpoint+": the server's database does not answer")
}

func TestServerDownIsDescribed(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	endpoint := listener.Addr().String()
	require.NoError(t, listener.Close())
	c := dial(t, client.Config{Endpoint: endpoint})
	want := "cannot reach headraced at " + endpoint + ": dial tcp " + endpoint + ": connect: connection refused; " +
		"is it running, and is the endpoint right?"
	_, err = c.Executions.StopExecution(t.Context(), &headracev1.StopExecutionRequest{})
	require.EqualError(t, err, want)
	began := time.Now()
	_, err = c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
	require.EqualError(t, err, want, "after retries")
	require.Less(t, time.Since(began), 2*time.Second, "nobody waits long for a server that is down")
}

func TestCancelledCall(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := dial(t, client.Config{Endpoint: (&scripted{}).serve(t)})
	_, err := c.Server.WhoAmI(ctx, &headracev1.WhoAmIRequest{})
	require.ErrorIs(t, err, context.Canceled)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	caFile, certificate := selfSigned(t, dir, time.Now().Add(-time.Hour))
	server := &scripted{}
	endpoint := server.serve(t, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))

	t.Run("the named authority is trusted", func(t *testing.T) {
		t.Parallel()
		c := dial(t, client.Config{Endpoint: endpoint, Token: "secret", CACertFile: caFile})
		_, err := c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
		require.NoError(t, err)
	})
	// The question whether the server runs led operators away from the certificate.
	for want, from := range map[string]time.Time{
		" has expired: current time ":      time.Now().Add(-3 * time.Hour),
		" is not valid yet: current time ": time.Now().Add(time.Hour),
	} {
		t.Run("the certificate"+want, func(t *testing.T) {
			t.Parallel()
			caFile, certificate := selfSigned(t, t.TempDir(), from)
			endpoint := server.serve(t, grpc.Creds(credentials.NewServerTLSFromCert(&certificate)))
			c := dial(t, client.Config{Endpoint: endpoint, CACertFile: caFile})
			_, err := c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
			require.ErrorContains(t, err, "the certificate of headraced at "+endpoint+want)
			require.NotContains(t, err.Error(), "is it running")
			require.NotContains(t, err.Error(), `"`)
		})
	}
	t.Run("files are checked at once", func(t *testing.T) {
		t.Parallel()
		_, err := client.Dial(client.Config{Endpoint: endpoint, CACertFile: filepath.Join(dir, "absent")}, "test/1")
		require.ErrorContains(t, err, "read ca_cert_file")
		empty := filepath.Join(dir, "empty")
		require.NoError(t, os.WriteFile(empty, nil, 0o600))
		_, err = client.Dial(client.Config{Endpoint: endpoint, CACertFile: empty}, "test/1")
		require.ErrorContains(t, err, "holds no PEM certificate")
		_, err = client.Dial(client.Config{Endpoint: endpoint, ClientCertFile: empty, ClientKeyFile: empty}, "test/1")
		require.ErrorContains(t, err, "load client_cert_file")
	})
}

// TestTokenStaysOffPlaintext uses an address that leads to this machine and is
// not known as local, like any address beyond it.
func TestTokenStaysOffPlaintext(t *testing.T) {
	t.Parallel()
	server := &scripted{}
	_, port, err := net.SplitHostPort(server.serve(t))
	require.NoError(t, err)
	endpoint := net.JoinHostPort("0.0.0.0", port)

	c := dial(t, client.Config{Endpoint: endpoint, Token: "secret"})
	_, err = c.Executions.StopExecution(t.Context(), &headracev1.StopExecutionRequest{})
	require.Equal(t, codes.Unavailable, status.Code(err), "TLS was expected")
	require.ErrorContains(t, err, "insecure = true")
	require.Zero(t, server.calls)

	c = dial(t, client.Config{Endpoint: endpoint, Token: "secret", Insecure: true})
	_, err = c.Server.WhoAmI(t.Context(), &headracev1.WhoAmIRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"Bearer secret"}, server.header.Get("authorization"))
}

// selfSigned returns a certificate for 127.0.0.1 that is its own authority and valid for two
// hours, and the file that holds it.
func selfSigned(t *testing.T, dir string, from time.Time) (string, tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "test"},
		NotBefore:             from,
		NotAfter:              from.Add(2 * time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	file := filepath.Join(dir, "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	return file, tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
