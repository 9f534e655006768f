// Package rpc is the gRPC rim: servers that turn messages into use cases and back, and
// interceptors that authenticate, validate, authorize by what the contract declares, log
// and map errors. It must never decide anything else about a request.
package rpc

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
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
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
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
	// strangerIdle ends connections that have not authenticated and wait for nothing. A
	// client calls as soon as it has connected.
	strangerIdle = 10 * time.Second
	// strangerGrace is how long a connection may take to authenticate in a flood of others,
	// httpGrace how long one may take to send a request.
	strangerGrace, httpGrace = 250 * time.Millisecond, 100 * time.Millisecond
	// strangerCalls bounds the calls without a token of a connection, proxyCalls those of
	// one on which others came with a token, since it may be a proxy's.
	strangerCalls, proxyCalls = 8, 32
	// strangerBytes bounds what a connection without a token sends during such calls, far
	// above what their messages take.
	strangerBytes = 64 << 10
	// keptForStrangers are places of the HTTP listener for connections that have not
	// authenticated, more than probes and scrapers take at once.
	keptForStrangers = 50
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
	// Store is sqlite or postgres, Isolation none, bubblewrap or unavailable.
	Store     string
	Isolation string
}

// Config is what a Server is made of. All but TLS is required.
type Config struct {
	Pipelines     *service.Pipelines
	Parts         *service.Parts
	Versions      *service.Versions
	Stages        *service.Stages
	ApprovalRules *service.ApprovalRules
	Secrets       *service.Secrets
	Connections   *service.Connections
	Triggers      *service.Triggers
	Decisions     *service.Decisions
	Webhooks      *service.Webhooks
	Deliveries    *service.Deliveries
	Executions    *service.Executions
	Explanations  *service.Explanations
	Streams       *service.Streams
	Artifacts     *service.Artifacts
	Accounts      *service.Accounts
	Retention     *service.Retention
	Types         *service.Types
	Info          Info
	Log           hclog.Logger
	// Observe is told of every call that ended. Its method is one that the server has, or
	// UnknownMethod.
	Observe func(method string, code codes.Code, took time.Duration)
	// Closed is told of every connection that was closed because it had not authenticated.
	Closed func(listener string, reason listen.Reason)
	Clock  func() time.Time
	// TLS is nil for plaintext.
	TLS *tls.Config
	// ClientCertificates refuses calls to Handler on connections without a client certificate
	// that was verified. For Serve, TLS says so.
	ClientCertificates bool
}

// Server serves the contract.
type Server struct {
	grpc   *grpc.Server
	health *health.Server
	gate   *gate
	door   *door
	drain  context.CancelFunc
	closed func(listener string, reason listen.Reason)
}

// New returns a server that serves nothing yet. Its health is NOT_SERVING until
// Serve is called.
func New(cfg Config) *Server {
	draining, drain := context.WithCancel(context.Background())
	g := &gate{
		accounts: cfg.Accounts, version: cfg.Info.Version, log: cfg.Log, strangers: logging.Bounded(cfg.Log, cfg.Clock),
		observe: cfg.Observe, clock: cfg.Clock, draining: draining,
		validator: sync.OnceValues(newValidator), recheck: recheckEvery,
		methods: methodsByPath(), messageTimeout: messageTimeout, anonymousTimeout: anonymousTimeout,
		callTimeout: callTimeout, stall: stallTimeout,
	}
	options := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(g.unary),
		grpc.ChainStreamInterceptor(g.stream),
		grpc.InTapHandle(g.authenticateEarly),
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
	s := &Server{grpc: grpc.NewServer(options...), health: health.NewServer(), gate: g, drain: drain, closed: cfg.Closed}
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_NOT_SERVING)
	headracev1.RegisterPipelineServiceServer(s.grpc, &pipelines{
		use: cfg.Pipelines, parts: cfg.Parts, versions: cfg.Versions, stages: cfg.Stages,
	})
	headracev1.RegisterApprovalRuleServiceServer(s.grpc, &approvalRules{use: cfg.ApprovalRules})
	headracev1.RegisterSecretServiceServer(s.grpc, &secrets{use: cfg.Secrets})
	headracev1.RegisterConnectionServiceServer(s.grpc, &connections{use: cfg.Connections})
	headracev1.RegisterExecutionServiceServer(s.grpc, &executions{
		use: cfg.Executions, explanations: cfg.Explanations, streams: cfg.Streams, artifacts: cfg.Artifacts,
	})
	headracev1.RegisterTriggerServiceServer(s.grpc, &triggers{use: cfg.Triggers, decisions: cfg.Decisions})
	headracev1.RegisterWebhookServiceServer(s.grpc, &webhooks{use: cfg.Webhooks, deliveries: cfg.Deliveries})
	headracev1.RegisterAccountServiceServer(s.grpc, &accounts{use: cfg.Accounts})
	headracev1.RegisterRetentionServiceServer(s.grpc, &retentionServer{use: cfg.Retention})
	headracev1.RegisterServerServiceServer(s.grpc, &infoServer{info: cfg.Info})
	headracev1.RegisterCatalogServiceServer(s.grpc, &catalogServer{use: cfg.Types})
	headracev1.RegisterWatchServiceServer(s.grpc, &watches{streams: cfg.Streams})
	grpc_health_v1.RegisterHealthServer(s.grpc, s.health)
	reflection.Register(s.grpc)
	g.registered = registered(s.grpc)
	g.registered[sessionMethod] = true
	s.door = newDoor(g, s.grpc, cfg.ClientCertificates)
	return s
}

// Serve takes connections until Shutdown, also one that came before. It owns the
// listener.
func (s *Server) Serve(listener net.Listener) error {
	s.health.SetServingStatus("", grpc_health_v1.HealthCheckResponse_SERVING)
	bounds := s.bounds("grpc", strangerGrace)
	bounds.Each, bounds.Idle = bounds.Most/2, strangerIdle
	if err := s.grpc.Serve(listen.New(listener, bounds)); !errors.Is(err, grpc.ErrServerStopped) {
		return err
	}
	return nil
}

// LimitHTTP returns a listener with bounds like Serve's, for an HTTP server that Handler is part
// of. Connections authenticate by their calls. Some places are only for connections that have
// not, so that probes always get one. The HTTP server itself ends idle connections, and one
// address may have all places: the newest connection is the one that is answered.
func (s *Server) LimitHTTP(listener net.Listener) net.Listener {
	bounds := s.bounds("http", httpGrace)
	bounds.Kept = min(keptForStrangers, bounds.Most/2)
	return listen.New(listener, bounds)
}

// bounds returns the bounds of connections that calls come by.
func (s *Server) bounds(name string, grace time.Duration) listen.Config {
	return listen.Config{
		Name: name, Most: listen.Fit(maxConnections), Grace: grace, Served: messageTimeout, Calls: strangerCalls, AuthenticatedCalls: proxyCalls,
		Bytes: strangerBytes, Observe: s.closed, Log: s.gate.log,
	}
}

// Handler serves Connect and gRPC-Web on the paths of the contract's methods, for an HTTP
// server with ConnContext listen.WithConn on a listener of LimitHTTP. Its calls pass the same
// gate as those of Serve, and end with Shutdown. The server's timeouts hold for callers that
// have not authenticated; other calls have those of the gate.
func (s *Server) Handler() (http.Handler, error) { return s.door.handler() }

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
	// GracefulStop would cut these calls off.
	s.door.finish(ctx)
	s.grpc.GracefulStop()
}
