package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/certificate"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/connection/access"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/forge/api"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/metrics"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/retention"
	"github.com/headrace/terraform-provider-headrace/backend/internal/rpc"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// start is the start of a server: what its steps share, and what they have opened. Each
// step is a method of what the step before it returned, so the steps have one order only.
type start struct {
	config  config.Config
	options Options
	log     hclog.Logger
	clock   func() time.Time
	newID   func() string
	opened  *closers
	// data is nil until it is opened.
	data *data
	// health is that of the runner.
	health *runner.Health
}

func newStart(cfg config.Config, options Options) *start {
	return &start{
		config: cfg, options: options, log: options.Log, clock: utcNow, opened: &closers{}, health: runner.NewHealth(),
		newID: func() string { return uuid.Must(uuid.NewV7()).String() },
	}
}

// run takes all steps. After an error some things are open, which the caller closes.
func (s *start) run(ctx context.Context) (*Server, error) {
	// Before the first start has made anything.
	if s.config.RunnerSlots > 0 {
		if err := runner.CheckWritable(s.config.Writable); err != nil {
			return nil, err
		}
	}
	locked, err := s.lockDataDir()
	if err != nil {
		return nil, err
	}
	opened, err := locked.openStore(ctx)
	if err != nil {
		return nil, err
	}
	listening, err := opened.listen(ctx)
	if err != nil {
		return nil, err
	}
	stored, err := listening.openArtifacts(ctx)
	if err != nil {
		return nil, err
	}
	recovered, err := stored.recoverWork(ctx)
	if err != nil {
		return nil, err
	}
	served, err := recovered.serveCalls()
	if err != nil {
		return nil, err
	}
	return served.addRunner()
}

// withDataDir is a start whose process alone uses the data directory.
type withDataDir struct {
	*start
	dir *dataDir
}

func (s *start) lockDataDir() (withDataDir, error) {
	dir, err := openDataDir(s.config.DataDir, s.log)
	if err != nil {
		return withDataDir{}, err
	}
	s.opened.add(dir.unlock)
	return withDataDir{start: s, dir: dir}, nil
}

// withStore is a start with an open store.
type withStore struct {
	withDataDir
}

func (s withDataDir) openStore(ctx context.Context) (withStore, error) {
	return withStore{withDataDir: s}, s.openData(ctx, s.dir)
}

// withListeners is a start that listens. It comes before everything that a start whose port
// is taken would leave behind in the store or the storage.
type withListeners struct {
	withStore
	grpcOn, httpOn net.Listener
	// hooksOn is nil where the server takes no deliveries.
	hooksOn net.Listener
}

func (s withStore) listen(ctx context.Context) (withListeners, error) {
	next := withListeners{withStore: s}
	var err error
	if next.grpcOn, err = s.listenOn(ctx, "grpc-listen", s.config.GRPCListen); err != nil {
		return withListeners{}, err
	}
	if next.httpOn, err = s.listenOn(ctx, "http-listen", s.config.HTTPListen); err != nil {
		return withListeners{}, err
	}
	next.hooksOn, err = s.listenForHooks(ctx)
	return next, err
}

func (s *start) listenOn(ctx context.Context, setting, address string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use: stop the other program, or choose another address with --%s", setting, address, setting)
	case err != nil:
		return nil, fmt.Errorf("%s: %w", setting, err)
	}
	s.opened.add(closeListener(listener))
	return listener, nil
}

// withArtifacts is a start with a store that has an admin, and a storage that keeps what
// actions make.
type withArtifacts struct {
	withListeners
	isolation runner.Isolation
	storage   *storage
	artifacts *artifact.Store
	logs      *logs.Store
	sealer    *sealer.Sealer
	// sealed returns an error while the key of sealed values is missing.
	sealed  func(context.Context) error
	secrets *service.Secrets
	// connections reaches forges and git servers.
	connections *access.Resolver
}

func (s withListeners) openArtifacts(ctx context.Context) (withArtifacts, error) {
	if err := bootstrap(ctx, s.data.store, s.dir.join(tokenFile), s.clock, s.newID, s.log); err != nil {
		return withArtifacts{}, err
	}
	isolation, err := runner.Detect(ctx, s.config.Isolation)
	if err != nil {
		return withArtifacts{}, err
	}
	storage, err := s.openStorage(ctx, s.data)
	if err != nil {
		return withArtifacts{}, err
	}
	spool, err := s.dir.newSpool()
	if err != nil {
		return withArtifacts{}, err
	}
	seals := sealer.New(sealer.Config{
		Ring: storage.keys, KeyFile: s.dir.join(secretsKeyFile), CreateKeyFile: !s.data.shared, Store: s.data.store,
	})
	logConfig := logs.Config{
		Limit: int64(s.config.LogLimit) << 20, Remote: storage.logs.Remote(), Small: service.SmallLogs{Store: s.data.store},
	}
	if storage.keys != nil {
		logConfig.Sealer = storage.keys
	}
	return withArtifacts{
		withListeners: s, isolation: isolation, storage: storage,
		artifacts: artifact.New(storage.artifacts, spool),
		logs:      logs.New(storage.logs.Unsynced(), logConfig),
		sealer:    seals,
		sealed:    s.sealedValues(ctx, seals, storage.keys != nil),
		secrets:   service.NewSecrets(service.SecretsConfig{Store: s.data.store, Sealer: seals, Clock: s.clock}),
		connections: access.New(access.Config{
			Store: s.data.store, Sealer: seals, Clock: s.clock, Wait: api.Sleep, UserAgent: "headraced/" + s.options.Version,
		}),
	}, nil
}

// withWork is a start that has taken over the work of an earlier process.
type withWork struct {
	withArtifacts
	catalog    *pipeline.Catalog
	registry   *action.Registry
	loop       *loop.Loop
	executions service.ExecutionsConfig
	retention  *service.Retention
	counters   *metrics.Metrics
	intake     *trigger.Intake
	mirrors    *mirror.Mirrors
}

func (s withArtifacts) recoverWork(ctx context.Context) (withWork, error) {
	next := withWork{withArtifacts: s}
	var err error
	if next.catalog, next.registry, err = pairKinds(s.options.github(), s.options.Kinds); err != nil {
		return withWork{}, err
	}
	var counters *metrics.Metrics
	next.loop = loop.New(loop.Config{
		Store: s.data.store, Queue: s.data.queue, Catalog: next.catalog, Registry: next.registry, Stored: s.artifacts.Has,
		Clock: s.clock, NewID: s.newID,
		Lease: s.config.Lease, StopGrace: s.config.StopGrace, Shared: s.data.shared, Log: s.log.Named("executions"),
		Observe:   func(change *execution.Change) { counters.Committed(change) },
		Abandoned: func(result execution.AbandonResult) { counters.Abandoned(result) },
		Artifacts: s.artifacts, Logs: s.logs, Storage: s.storage.available.Err, Secrets: s.secretsOf,
		Credentials: s.credentialsOf,
	})
	if next.intake, next.mirrors, err = s.openTriggers(next.catalog, next.loop); err != nil {
		return withWork{}, err
	}
	next.executions = service.ExecutionsConfig{
		Store: s.data.store, Loop: next.loop, Catalog: next.catalog, Logs: s.logs, Storage: s.storage.available.Err, History: next.intake,
		Runner: s.health.Err, Clock: s.clock, NewID: s.newID,
	}
	next.retention = service.NewRetention(service.RetentionConfig{
		Store: s.data.store, Artifacts: s.artifacts, Logs: s.logs, Clock: s.clock, Every: retentionEvery, After: retentionAfter,
		Log: s.log.Named("retention"),
		Policy: retention.Policy{
			Age: time.Duration(s.config.RetentionAge), Count: s.config.RetentionCount,
			KeepLastSuccessful: s.config.RetentionKeepLastSuccessful,
		},
		Observe: func(trees int, bytes int64) { counters.Removed(trees, bytes) },
	})
	counters = metrics.New(s.options.Version, next.counts)
	next.counters = counters
	counters.Database(s.data.damage.damaged.Load)
	if err := next.loop.Recover(ctx); err != nil {
		return withWork{}, err
	}
	if err := next.intake.Start(ctx); err != nil {
		return withWork{}, err
	}
	s.logIsolation()
	return next, nil
}

// secretsOf returns the values of secrets for an attempt or a turn. What went wrong inside
// the server is told to the operator alone.
func (s withArtifacts) secretsOf(ctx context.Context, of action.Scope, names []string) (map[string]string, error) {
	values, err := s.secrets.Values(ctx, of.Account, names)
	var refused *action.CredentialsError
	if err != nil && !errors.As(err, &refused) && ctx.Err() == nil {
		s.log.Error("Cannot open the secrets of an action", "pipeline", of.Pipeline, "execution", of.ExecutionID, "stage", of.Stage,
			"action_execution", of.ActionExecutionID, "error", err)
		return nil, errors.New("the server cannot open the secrets of the action; its log says why")
	}
	return values, err
}

// logIsolation tells the operator what keeps commands from this machine.
func (s withArtifacts) logIsolation() {
	what := []any{"isolation", s.isolation.Name(), "detail", s.isolation.Detail}
	switch s.isolation.Name() {
	case runner.IsolationUnavailable:
		s.log.Error("Actions and rules that run commands fail, because commands cannot be isolated: install bubblewrap and restart, "+
			"or start with --isolation none, which lets commands do everything that this process can", what...)
	case runner.IsolationNone:
		s.log.Warn("Commands run without isolation: they can read what this process can, its data included", what...)
	default:
		s.log.Info("Commands run isolated", what...)
	}
	if os.Geteuid() == 0 {
		s.log.Warn("headraced runs as root, so commands can read what root can; run it as a user of its own that owns nothing else")
	}
}

// counts counts for a scrape. It has a limit, so that a scrape ends while the store does
// not answer.
func (s withWork) counts() (metrics.Counts, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callGrace)
	defer cancel()
	c, err := service.NewExecutions(s.executions).Counts(ctx)
	return metrics.Counts(c), err
}

// withCalls is a start of a server that can answer calls.
type withCalls struct {
	withWork
	server *Server
}

func (s withWork) serveCalls() (withCalls, error) {
	certificates, err := s.loadCertificate()
	if err != nil {
		return withCalls{}, err
	}
	// Nil is plaintext. Each server changes its own configuration.
	var forGRPC, forHTTP, forHooks *tls.Config
	if certificates != nil {
		forGRPC, forHTTP, forHooks = certificates.GRPC(), certificates.Web(), certificates.HTTP()
	}
	reports := service.NewReports(s.data.store, s.clock)
	server := &Server{
		config: s.config, log: s.log, store: s.data.store, data: s.data, health: s.health, loop: s.loop, streams: service.NewStreams(s.executions),
		storage: s.storage.available, sealed: s.sealed, retention: s.retention, intake: s.intake, mirrors: s.mirrors,
		grpcOn: s.grpcOn, opened: s.opened, certificates: certificates,
	}
	definitions := service.PipelinesConfig{
		Store: s.data.store, Loop: s.loop, Watcher: s.intake, Reports: reports, Catalog: s.catalog, Sealer: s.sealer, Logs: s.logs,
		Clock: s.clock, NewID: s.newID, Log: s.log.Named("pipelines"), NotIsolated: s.isolation.NotIsolated(),
	}
	webhooks := service.WebhooksConfig{
		Store: s.data.store, Loop: s.loop, Hooks: s.intake, Sealer: s.sealer, Formats: formats(), URL: s.hookURL, Clock: s.clock, NewID: s.newID,
	}
	server.rpc = rpc.New(rpc.Config{
		Triggers: service.NewTriggers(service.TriggersConfig{
			Store: s.data.store, Loop: s.loop, Catalog: s.catalog, Watcher: s.intake, Clock: s.clock, NewID: s.newID,
		}),
		Decisions: service.NewDecisions(service.DecisionsConfig{
			Store: s.data.store, Intake: s.intake, Clock: s.clock,
			Poll: s.config.PollInterval, Backfill: s.config.BackfillInterval, Shared: s.data.shared,
		}),
		Webhooks:      service.NewWebhooks(webhooks),
		Deliveries:    service.NewDeliveries(webhooks, s.intake),
		Pipelines:     service.NewPipelines(definitions),
		Parts:         service.NewParts(definitions),
		Versions:      service.NewVersions(definitions),
		Stages:        service.NewStages(s.executions),
		ApprovalRules: service.NewApprovalRules(service.ApprovalRulesConfig{Store: s.data.store, Reports: reports, Clock: s.clock}),
		Secrets:       s.secrets,
		Connections: service.NewConnections(service.ConnectionsConfig{
			Store: s.data.store, Sealer: s.sealer, Checker: s.connections, Catalog: s.catalog, Clock: s.clock,
		}),
		Executions:   service.NewExecutions(s.executions),
		Explanations: service.NewExplanations(s.executions),
		Streams:      server.streams,
		Artifacts:    service.NewArtifacts(service.ArtifactsConfig{Store: s.data.store, Artifacts: s.artifacts}),
		Accounts: service.NewAccounts(service.AccountsConfig{
			Store: s.data.store, Reports: reports, Clock: s.clock, NewID: s.newID,
		}),
		Retention: s.retention,
		Types:     service.NewTypes(s.data.store, s.catalog),
		Info: rpc.Info{
			Version: s.options.Version, Capabilities: capabilities(), Store: s.data.name, Isolation: s.isolation.Name(),
		},
		Log:     s.log.Named("rpc"),
		Observe: s.counters.Called,
		Closed:  s.connectionClosed,
		Clock:   s.clock,
		TLS:     forGRPC,

		ClientCertificates: s.config.TLSClientCAFile != "",
	})
	server.httpOn = server.rpc.LimitHTTP(s.httpOn)
	if server.http, err = server.newHTTP(s.counters.Handler(), forHTTP); err != nil {
		return withCalls{}, err
	}
	if s.hooksOn != nil {
		server.hooks, server.hooksOn = s.newHooks(forHooks), s.limitHooks()
	}
	return withCalls{withWork: s, server: server}, nil
}

// addRunner is the last step, since nothing but Run releases the work directory of a runner.
func (s withCalls) addRunner() (*Server, error) {
	if s.config.RunnerSlots == 0 {
		return s.server, nil
	}
	hidden := append([]string{s.dir.path}, credentialFiles(s.config.DatabaseURL, os.Getenv)...)
	for _, file := range []string{s.config.TLSKeyFile, s.config.File, s.storage.dir, seal.KeyFile(s.config.StorageKey)} {
		if file != "" {
			hidden = append(hidden, file)
		}
	}
	var err error
	s.server.runner, err = runner.New(runner.Config{
		ID: s.data.runner, Slots: s.config.RunnerSlots, Jobs: s.loop, Registry: s.registry,
		WorkDir: s.dir.join(workDirectory), Artifacts: s.artifacts, Logs: s.logs, Storage: s.storage.available,
		Lease: s.config.Lease, Grace: s.config.ShutdownGrace, StopGrace: s.config.StopGrace, Secrets: s.secretsOf,
		Credentials: s.credentialsOf,
		Isolation:   s.isolation, Hidden: hidden, Writable: s.config.Writable, Log: s.log.Named("runner"), Now: s.clock,
		Health: s.health, Returned: s.counters.Returned,
	})
	return s.server, err
}

// loadCertificate returns the certificate of all listeners, nil where none is set up.
func (s withWork) loadCertificate() (*certificate.Source, error) {
	if s.config.TLSCertFile == "" {
		return nil, nil //nolint:nilnil // No TLS is a configuration too.
	}
	source, err := certificate.Load(certificate.Config{
		Files: certificate.Files{Cert: s.config.TLSCertFile, Key: s.config.TLSKeyFile, ClientCA: s.config.TLSClientCAFile},
		Clock: s.clock, Log: s.log.Named("tls"),
	})
	if err == nil {
		s.counters.Certificate(source.NotAfter)
	}
	return source, err
}

// connectionClosed counts a connection that was closed because it had not authenticated.
func (s withWork) connectionClosed(listener string, reason listen.Reason) {
	s.counters.Closed(listener, string(reason))
}

// closers close what was opened, last first.
type closers struct{ all []func() error }

func (c *closers) add(closer func() error) { c.all = append(c.all, closer) }

func (c *closers) close() error {
	var errs []error
	for _, closer := range slices.Backward(c.all) {
		errs = append(errs, closer())
	}
	c.all = nil
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
