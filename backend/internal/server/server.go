// Package server puts a whole headraced together: it opens, wires, serves and
// stops. It must never hold logic that another package could hold.
package server

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action/git"
	"github.com/headrace/terraform-provider-headrace/backend/internal/certificate"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/rpc"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
)

const (
	// callGrace is how long calls get to end when the server stops. Streams end
	// at once.
	callGrace = 5 * time.Second
	// turnWorkers is how many turns run at once: they mostly wait for the store,
	// where those that arrive together share a commit.
	turnWorkers = 64
	// turnRetry is how long a turn rests that could not be carried out.
	turnRetry = time.Second
	// retentionEvery is how often retention looks for what goes.
	retentionEvery = time.Hour
	// retentionAfter is how long after a start it first does.
	retentionAfter = 10 * time.Minute
)

// Options are what a server is given beside its configuration.
type Options struct {
	// Version of the program.
	Version string
	Log     hclog.Logger
	// Kinds are known beside the built-in ones.
	Kinds []Kind
	// GitHub is the address of a server that stands for GitHub in tests. Empty for GitHub.
	GitHub string
}

// github returns where sources of GitHub with a token of their own are.
func (o *Options) github() string { return cmp.Or(o.GitHub, git.GitHub) }

// Server is a headraced that listens and does not serve yet.
type Server struct {
	config config.Config
	log    hclog.Logger
	store  store.Store
	// data says where the store is.
	data    *data
	loop    *loop.Loop
	streams *service.Streams
	storage *availability
	// sealed returns an error while the key of sealed values is missing.
	sealed    func(context.Context) error
	retention *service.Retention
	intake    *trigger.Intake
	mirrors   *mirror.Mirrors
	health    *runner.Health
	// runner is nil where the configuration gives it no slots.
	runner *runner.Runner
	rpc    *rpc.Server
	http   *http.Server
	grpcOn net.Listener
	httpOn net.Listener
	// hooks and hooksOn are nil where the configuration says not to listen for deliveries.
	hooks   *http.Server
	hooksOn net.Listener
	// certificates are nil without TLS.
	certificates *certificate.Source
	ready        atomic.Bool
	// opened is closed when the server has stopped.
	opened *closers
}

// New opens the data directory, which it alone uses until Run returns, brings
// the store up to date, takes over what an earlier process left and listens.
// After an error nothing is left open.
func New(ctx context.Context, cfg config.Config, options Options) (*Server, error) {
	start := newStart(cfg, options)
	s, err := start.run(ctx)
	if err != nil {
		return nil, errors.Join(withRepair(err, start.data), start.opened.close())
	}
	return s, nil
}

// GRPCAddr returns the address that gRPC listens on.
func (s *Server) GRPCAddr() string { return s.grpcOn.Addr().String() }

// HTTPAddr returns the address that HTTP listens on.
func (s *Server) HTTPAddr() string { return s.httpOn.Addr().String() }

// HooksAddr returns the address that deliveries arrive at, empty for none.
func (s *Server) HooksAddr() string {
	if s.hooksOn == nil {
		return ""
	}
	return s.hooksOn.Addr().String()
}

// Reload loads the certificate files again, at once.
func (s *Server) Reload() {
	if s.certificates == nil {
		s.log.Info("There is nothing to reload: the server has no certificate")
		return
	}
	s.certificates.Reload()
}

// runnerName is what explain and events name this server's runner by.
func (s *Server) runnerName() string {
	if s.runner == nil {
		return "none"
	}
	return s.runner.ID()
}

// Run serves until the context ends or something fails. It then takes no more
// calls, ends streams, lets running attempts go on for the grace that is
// configured, and closes everything. It returns nil for a stop that was asked
// for. A server runs once.
func (s *Server) Run(ctx context.Context) error {
	// The end of the group's context is the order to stop; executions go on
	// until the runner has reported its last result.
	group, stopping := errgroup.WithContext(ctx)
	deciding, endDecisions := context.WithCancel(context.WithoutCancel(ctx))
	defer endDecisions()
	group.Go(func() error { return s.loop.Run(deciding) })
	group.Go(func() error { return s.retention.Run(stopping) })
	group.Go(func() error { return s.intake.Run(stopping) })
	group.Go(func() error { return s.mirrors.Run(stopping) })
	if s.certificates != nil {
		group.Go(func() error { return s.certificates.Run(stopping) })
	}
	drained := make(chan struct{})
	group.Go(func() error {
		defer close(drained)
		if s.runner == nil {
			<-stopping.Done()
			return nil
		}
		return s.runner.Run(stopping)
	})
	group.Go(func() error { return s.rpc.Serve(s.grpcOn) })
	group.Go(func() error { return serveOn(s.http, s.httpOn) })
	if s.hooks != nil {
		group.Go(func() error { return serveOn(s.hooks, s.hooksOn) })
	}
	group.Go(func() error {
		<-stopping.Done()
		s.log.Info("Stopping; running actions may go on for a while", "grace", s.config.ShutdownGrace)
		s.ready.Store(false)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), callGrace)
		defer cancel()
		s.streams.EndStreams()
		// Deliveries that are being read are stored, as far as they come in time.
		hooksEnded := make(chan struct{})
		go func() {
			defer close(hooksEnded)
			s.stopHooks(limited)
		}()
		s.rpc.Shutdown(limited)
		<-hooksEnded
		<-drained
		endDecisions()
		return s.http.Close()
	})
	s.ready.Store(true)
	s.log.Info("Ready", "grpc", s.GRPCAddr(), "http", s.HTTPAddr(), "hooks", s.HooksAddr(), "data_dir", s.config.DataDir, "tls", s.config.TLSCertFile != "",
		"runner", s.runnerName())
	group.Go(func() error {
		s.rpc.Warm()
		return nil
	})
	err := errors.Join(group.Wait(), s.opened.close())
	s.log.Info("Stopped")
	return err
}

// stopHooks ends the listener of deliveries.
func (s *Server) stopHooks(ctx context.Context) {
	if s.hooks == nil {
		return
	}
	if err := s.hooks.Shutdown(ctx); err != nil {
		// What the deliveries that are cut off say is found by back-fill.
		_ = s.hooks.Close()
	}
}
