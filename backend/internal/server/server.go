// Package server puts a whole headraced together: it opens, wires, serves and
// stops. It must never hold logic that another package could hold.
package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/metrics"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/internal/rpc"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
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

// ActionType is an action type with who carries it out: Attempt or Turn, by its
// Work.
type ActionType struct {
	pipeline.ActionType
	Attempt action.AttemptExecutor
	Turn    action.TurnExecutor
}

// Options are what a server is given beside its configuration.
type Options struct {
	// Version of the program.
	Version string
	Log     hclog.Logger
	// ActionTypes are known beside the built-in ones.
	ActionTypes []ActionType
}

// Server is a headraced that listens and does not serve yet.
type Server struct {
	config     config.Config
	log        hclog.Logger
	store      store.Store
	executions *service.Executions
	storage    *reach
	retention  *service.Retention
	// runner is nil where the configuration gives it no slots.
	runner  *runner.Runner
	rpc     *rpc.Server
	http    *http.Server
	grpcOn  net.Listener
	httpOn  net.Listener
	ready   atomic.Bool
	closers []func() error
}

// New opens the data directory, which it alone uses until Run returns, brings
// the store up to date, takes over what an earlier process left and listens.
// After an error nothing is left open.
func New(ctx context.Context, cfg config.Config, options Options) (*Server, error) {
	s := &Server{config: cfg, log: options.Log}
	if err := s.open(ctx, options); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// GRPCAddr returns the address that gRPC listens on.
func (s *Server) GRPCAddr() string { return s.grpcOn.Addr().String() }

// HTTPAddr returns the address that HTTP listens on.
func (s *Server) HTTPAddr() string { return s.httpOn.Addr().String() }

func (s *Server) open(ctx context.Context, options Options) error {
	dir, err := openDataDir(s.config.DataDir, s.log)
	if err != nil {
		return err
	}
	s.onClose(dir.unlock)
	clock := utcNow
	data, err := s.openData(ctx, dir, clock)
	if err != nil {
		return err
	}
	s.store = data.store
	// Before anything is made that a start with a taken port would leave behind.
	if err := s.listen(ctx); err != nil {
		return err
	}
	newID := func() string { return uuid.Must(uuid.NewV7()).String() }
	if err := bootstrap(ctx, s.store, dir.join(tokenFile), clock, newID, s.log); err != nil {
		return err
	}
	isolation, err := runner.Detect(ctx, s.config.Isolation)
	if err != nil {
		return err
	}
	storage, err := s.openStorage(ctx, data, clock)
	if err != nil {
		return err
	}
	s.storage = storage.reach
	spool, err := dir.newSpool()
	if err != nil {
		return err
	}
	artifacts := artifact.New(storage.artifacts, spool)
	logStore := logs.New(storage.logs.Unsynced(), logs.Config{Limit: int64(s.config.LogLimit) << 20, Remote: storage.logs.Remote()})

	catalog, registry := actionTypes(options.ActionTypes)
	var counters *metrics.Metrics
	s.executions = service.NewExecutions(service.ExecutionsConfig{
		Store: s.store, Catalog: catalog, Registry: registry, Logs: logStore, Clock: clock, NewID: newID,
		Lease: s.config.Lease, Log: s.log.Named("executions"),
		Observe:   func(change *execution.Change) { counters.Committed(change) },
		Queue:     data.queue,
		Shared:    data.several,
		Artifacts: artifacts,
		Storage:   s.storage.Err,
	})
	s.retention = service.NewRetention(service.RetentionConfig{
		Store: s.store, Artifacts: artifacts, Logs: logStore, Clock: clock, Every: retentionEvery, After: retentionAfter,
		Log: s.log.Named("retention"),
		Policy: retention.Policy{
			Age: time.Duration(s.config.RetentionAge), Count: s.config.RetentionCount,
			KeepLastSuccessful: s.config.RetentionKeepLastSuccessful,
		},
		Observe: func(trees int, bytes int64) { counters.Removed(trees, bytes) },
	})
	counters = metrics.New(options.Version, s.counts)
	if err := s.executions.Recover(ctx); err != nil {
		return err
	}
	if isolation.Name() == runner.IsolationNone {
		s.log.Warn("Commands run without isolation: they can read what this process can, its data included",
			"isolation", isolation.Name(), "detail", isolation.Detail)
	} else {
		s.log.Info("Commands run isolated", "isolation", isolation.Name(), "detail", isolation.Detail)
	}
	if os.Geteuid() == 0 {
		s.log.Warn("headraced runs as root, so commands can read what root can; run it as a user of its own that owns nothing else")
	}

	conf, err := s.tls()
	if err != nil {
		return err
	}
	reports := service.NewReports(s.store, clock)
	accounts := service.NewAccounts(service.AccountsConfig{Store: s.store, Reports: reports, Clock: clock, NewID: newID})
	s.rpc = rpc.New(rpc.Config{
		Pipelines: service.NewPipelines(service.PipelinesConfig{
			Store: s.store, Reports: reports, Catalog: catalog, Runs: s.executions, Clock: clock, NewID: newID,
		}),
		ApprovalRules: service.NewApprovalRules(service.ApprovalRulesConfig{Store: s.store, Reports: reports, Clock: clock}),
		Executions:    s.executions,
		Accounts:      accounts,
		Retention:     s.retention,
		Info:          rpc.Info{Version: options.Version, Capabilities: capabilities(), Store: data.name, Isolation: isolation.Name()},
		Log:           s.log.Named("rpc"),
		Observe:       counters.Called,
		Clock:         clock,
		TLS:           conf,
	})
	s.http = s.newHTTP(counters.Handler(), conf)
	if s.config.RunnerSlots == 0 {
		return nil
	}
	hidden := append([]string{dir.path}, credentialFiles(s.config.DatabaseURL, os.Getenv)...)
	for _, file := range []string{s.config.TLSKeyFile, s.config.File, storage.dir, seal.KeyFile(s.config.StorageKey)} {
		if file != "" {
			hidden = append(hidden, file)
		}
	}
	// Last, since only Run lets its work directory go again.
	s.runner, err = runner.New(runner.Config{
		ID: data.runner, Slots: s.config.RunnerSlots, Jobs: s.executions, Registry: registry,
		WorkDir: dir.join("work"), Artifacts: artifacts, Logs: logStore, Storage: s.storage,
		Lease: s.config.Lease, Grace: s.config.ShutdownGrace,
		Isolation: isolation, Hidden: hidden, Log: s.log.Named("runner"), Now: clock,
	})
	return err
}

// runnerName is what explain and events name this server's runner by.
func (s *Server) runnerName() string {
	if s.runner == nil {
		return "none"
	}
	return s.runner.ID
}

// counts counts for a scrape, which does not wait for ever.
func (s *Server) counts() (metrics.Counts, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callGrace)
	defer cancel()
	c, err := s.executions.Counts(ctx)
	return metrics.Counts(c), err
}

func (s *Server) listen(ctx context.Context) error {
	for _, on := range []struct {
		setting, address string
		listener         *net.Listener
	}{{"grpc-listen", s.config.GRPCListen, &s.grpcOn}, {"http-listen", s.config.HTTPListen, &s.httpOn}} {
		listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", on.address)
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return fmt.Errorf("%s: %s is in use: stop the other program, or choose another address with --%s", on.setting, on.address, on.setting)
		case err != nil:
			return fmt.Errorf("%s: %w", on.setting, err)
		}
		*on.listener = listener
		s.onClose(closeListener(listener))
	}
	return nil
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
	group.Go(func() error { return s.executions.Run(deciding) })
	group.Go(func() error { return s.retention.Run(stopping) })
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
	group.Go(func() error {
		if err := s.serveHTTP(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	group.Go(func() error {
		<-stopping.Done()
		s.log.Info("Stopping; running actions may go on for a while", "grace", s.config.ShutdownGrace)
		s.ready.Store(false)
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), callGrace)
		defer cancel()
		s.executions.EndStreams()
		s.rpc.Shutdown(limited)
		<-drained
		endDecisions()
		return s.http.Close()
	})
	s.ready.Store(true)
	s.log.Info("Ready", "grpc", s.GRPCAddr(), "http", s.HTTPAddr(), "data_dir", s.config.DataDir, "tls", s.config.TLSCertFile != "",
		"runner", s.runnerName())
	group.Go(func() error {
		s.rpc.Warm()
		return nil
	})
	err := errors.Join(group.Wait(), s.close())
	s.log.Info("Stopped")
	return err
}

// tls returns the TLS configuration, nil where none is set up.
func (s *Server) tls() (*tls.Config, error) {
	if s.config.TLSCertFile == "" {
		return nil, nil //nolint:nilnil // No TLS is a configuration too.
	}
	certificate, err := tls.LoadX509KeyPair(s.config.TLSCertFile, s.config.TLSKeyFile)
	if err != nil {
		return nil, fmt.Errorf("load tls-cert-file and tls-key-file: %w", err)
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	if s.config.TLSClientCAFile == "" {
		return conf, nil
	}
	pem, err := os.ReadFile(s.config.TLSClientCAFile)
	if err != nil {
		return nil, fmt.Errorf("load tls-client-ca-file: %w", err)
	}
	conf.ClientCAs = x509.NewCertPool()
	if !conf.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("load tls-client-ca-file: %s holds no PEM certificate", s.config.TLSClientCAFile)
	}
	conf.ClientAuth = tls.RequireAndVerifyClientCert
	return conf, nil
}

// onClose notes what to close at the end, last first.
func (s *Server) onClose(closer func() error) { s.closers = append(s.closers, closer) }

func (s *Server) close() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	s.closers = nil
	return errors.Join(errs...)
}

// closeListener closes a listener that its server may have closed already.
func closeListener(listener net.Listener) func() error {
	return func() error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

func utcNow() time.Time { return time.Now().UTC() }

// join returns the path of a file of the data directory.
func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }
