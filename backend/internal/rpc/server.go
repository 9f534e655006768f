// Package rpc is the gRPC rim: servers that turn messages into use cases and
// back, and interceptors that authenticate, validate, log and map errors. It
// must never decide anything about a request but who sent it and whether it has
// the right form.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
)

const (
	// maxRequestSize is far above what a pipeline needs: CodePipeline's largest
	// definition, of 1000 actions, takes it with 4 KB for each.
	maxRequestSize = 4 << 20
	// maxAnswerSize is what the client takes: pages of large definitions.
	maxAnswerSize = 16 << 20
	// maxHeaderSize bounds what a caller may send before it is known who it is.
	maxHeaderSize = 16 << 10
	// maxStreams bounds the calls at once of one connection; more wait in the
	// client. With maxRequestSize it bounds what the messages of one take.
	maxStreams = 100
	// maxConnections bounds the connections at once.
	maxConnections = 1000
	// maxIdle ends connections without calls; a client connects anew by itself.
	maxIdle = 15 * time.Minute
	// handshakeTimeout ends connections that never say anything.
	handshakeTimeout = 10 * time.Second
	// minPing is less than the clients' keepalive of 30 seconds.
	minPing = 15 * time.Second
	// pingTime and pingTimeout find clients that went away under a stream.
	pingTime    = time.Minute
	pingTimeout = 20 * time.Second
)

// Info is what the server tells about itself.
type Info struct {
	Version      string
	Capabilities []string
	// Store is sqlite or postgres, Isolation none or bubblewrap.
	Store     string
	Isolation string
}

// Config is what a Server is made of. All but TLS is required.
type Config struct {
	Pipelines     *service.Pipelines
	ApprovalRules *service.ApprovalRules
	Executions    *service.Executions
	Accounts      *service.Accounts
	Retention     *service.Retention
	Info          Info
	Log           hclog.Logger
	// Observe is told of every call that ended.
	Observe func(method string, code codes.Code, took time.Duration)
	Clock   func() time.Time
	// TLS is nil for plaintext.
	TLS *tls.Config
}

// Server serves the contract.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	gate   *gate
	drain  context.CancelFunc
}

// New returns a server that serves nothing yet. Its health is NOT_SERVING until
// Serve is called.
func New(cfg Config) *Server {
	draining, drain := context.WithCancel(context.Background())
	g := &gate{
		accounts: cfg.Accounts, version: cfg.Info.Version, log: cfg.Log, observe: cfg.Observe, clock: cfg.Clock, draining: draining,
		validator: sync.OnceValues(newValidator), recheck: recheckEvery,
		strangers: newStrangers(), strangerTimeout: strangerTimeout, callTimeout: callTimeout, stall: stallTimeout,
	}
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(g.unary),
		grpc.ChainStreamInterceptor(g.stream),
		grpc.InTapHandle(g.knock),
		grpc.MaxRecvMsgSize(maxRequestSize),
		grpc.MaxSendMsgSize(maxAnswerSize),
		grpc.MaxHeaderListSize(maxHeaderSize),
		grpc.MaxConcurrentStreams(maxStreams),
		grpc.ConnectionTimeout(handshakeTimeout),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingTime, Timeout: pingTimeout, MaxConnectionIdle: maxIdle}),
		grpc.WaitForHandlers(true),
	}
	if cfg.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(cfg.TLS)))
	}
	s := &Server{grpc: grpc.NewServer(options...), health: health.NewServer(), gate: g, drain: drain}
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	headracev1.RegisterPipelineServiceServer(s.grpc, &pipelines{use: cfg.Pipelines, executions: cfg.Executions})
	headracev1.RegisterApprovalRuleServiceServer(s.grpc, &approvalRules{use: cfg.ApprovalRules})
	headracev1.RegisterExecutionServiceServer(s.grpc, &executions{use: cfg.Executions})
	headracev1.RegisterAccountServiceServer(s.grpc, &accounts{use: cfg.Accounts})
	headracev1.RegisterRetentionServiceServer(s.grpc, &retentions{use: cfg.Retention})
	headracev1.RegisterServerServiceServer(s.grpc, &about{info: cfg.Info})
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	g.streaming = streaming(s.grpc)
	return s
}

// streaming returns the methods of a server that are streams.
func streaming(s *grpc.Server) map[string]bool {
	found := make(map[string]bool)
	for name, service := range s.GetServiceInfo() {
		for _, method := range service.Methods {
			if method.IsClientStream || method.IsServerStream {
				found["/"+name+"/"+method.Name] = true
			}
		}
	}
	return found
}

// Serve takes connections until Shutdown, also one that came before. It owns the
// listener.
func (s *Server) Serve(listener net.Listener) error {
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	limited := &limitedListener{Listener: listener, most: maxConnections, log: s.gate.log}
	if err := s.grpc.Serve(limited); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// Warm does ahead what the first request would wait for.
func (s *Server) Warm() {
	// An error shows again, and is told, with the first request.
	_, _ = s.gate.validator()
}

// Shutdown takes no more calls, ends streams, and waits for the other calls
// until the context ends, which then cuts them off.
func (s *Server) Shutdown(ctx context.Context) {
	s.health.Shutdown()
	s.drain()
	stop := context.AfterFunc(ctx, s.grpc.Stop)
	defer stop()
	s.grpc.GracefulStop()
}
