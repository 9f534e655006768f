package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"time"

	"buf.build/go/protovalidate"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/listen"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// gate is what every call passes: it is authenticated, its messages are validated, it is
// authorized, panics and errors become statuses, and the call is logged.
type gate struct {
	accounts *service.Accounts
	// version is the server's.
	version string
	log     hclog.Logger
	// strangers logs calls of callers that have not authenticated, at a bounded rate.
	strangers hclog.Logger
	observe   func(method string, code codes.Code, took time.Duration)
	clock     func() time.Time
	validator func() (protovalidate.Validator, error)
	// draining ends when the server begins to stop.
	draining context.Context //nolint:containedctx // The life of the server, not of a call.
	// recheck is how often the token of an open stream is looked at again.
	recheck time.Duration
	// methods are those that the gate lets through, by their path; registered are the
	// paths of those that the server has.
	methods    map[string]method
	registered map[string]bool
	// messageTimeout ends calls of methods that need no token if their message does not
	// arrive; anonymousTimeout ends all of them, except streams.
	messageTimeout, anonymousTimeout time.Duration
	// callTimeout ends calls of all other methods, except streams whose message has arrived.
	callTimeout time.Duration
	// streams counts those of each caller; stall ends one that nobody reads.
	streams streamsOf
	stall   time.Duration
}

const (
	// recheckEvery bounds how long a stream outlives its token.
	recheckEvery = 5 * time.Second
	// messageTimeout is far more than a message of a few bytes takes.
	messageTimeout = time.Second
	// anonymousTimeout is far more than an answer takes that reads no store.
	anonymousTimeout = 10 * time.Second
	// callTimeout is far more than the clients' own deadline.
	callTimeout = 2 * time.Minute
	// authenticateTimeout bounds the check of a token before a message is read.
	authenticateTimeout = 5 * time.Second
	// maxText bounds what is said and logged of one error, in bytes.
	maxText = 1 << 10
	// maxPath bounds what is logged of the path of a method, far above the longest one.
	maxPath = 128
)

// errDraining is why the context of a stream ended when the server stops.
var errDraining = errors.New("the server is stopping")

// authenticateEarly is the filter of calls that come by gRPC. See enter.
func (g *gate) authenticateEarly(ctx context.Context, info *tap.Info) (context.Context, error) {
	return g.enter(ctx, info.FullMethodName, info.Header)
}

// enter refuses a call without a valid token before any of its messages is read, since a
// message may be large. It returns the context of the call, with its deadline, or a status. It
// is a filter: the interceptors authenticate and authorize the call. The context has the peer,
// and must end with the call.
func (g *gate) enter(ctx context.Context, path string, header metadata.MD) (context.Context, error) {
	c := g.newCall(path)
	conn := connOf(ctx)
	if c.method.open() {
		ctx, err := c.admitAnonymous(ctx, conn)
		if err != nil {
			return ctx, c.end(ctx, nil, err)
		}
		return ctx, nil
	}
	shown, err := credentialOf(ctx, header)
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, authenticateTimeout)
		defer cancel()
		_, err = g.authenticate(limited, shown)
	}
	if err != nil {
		conn.Refused()
		return ctx, c.end(ctx, nil, err)
	}
	conn.Authenticate()
	if c.method.streams {
		return awaitMessage(ctx, g.callTimeout, func(context.Context) {}), nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.callTimeout)
	// The end of the call ends its parent.
	context.AfterFunc(ctx, cancel)
	return ctx, nil
}

// connOf returns the connection of a call.
func connOf(ctx context.Context) *listen.Conn {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return nil
	}
	return listen.Of(p.Addr)
}

// admitAnonymous lets a call in that needs no token. No call of another connection can keep
// it out, since health checks are such calls.
func (c *call) admitAnonymous(ctx context.Context, conn *listen.Conn) (context.Context, error) {
	leave, ok := conn.Begin()
	if !ok {
		return ctx, status.Error(codes.Unavailable, "too many calls without a token at once on this connection; try again")
	}
	cancel := func() {}
	if !c.method.streams {
		ctx, cancel = context.WithTimeout(ctx, c.gate.anonymousTimeout)
	}
	waiting := awaitMessage(ctx, c.gate.messageTimeout, func(ctx context.Context) {
		if !c.method.streams {
			// No interceptor is called before the message of such a call is there.
			_ = c.end(ctx, nil, status.Error(codes.DeadlineExceeded, errNoMessage.Error()))
		}
	})
	context.AfterFunc(waiting, func() {
		cancel()
		leave()
	})
	return waiting, nil
}

// awaitMessage returns a context that ends with errNoMessage, after which late is called, unless
// arrived is called within the timeout.
func awaitMessage(ctx context.Context, timeout time.Duration, late func(context.Context)) context.Context {
	ctx, giveUp := context.WithCancelCause(ctx)
	waiting := &awaitingMessage{Context: ctx}
	waiting.timer = time.AfterFunc(timeout, func() {
		giveUp(errNoMessage)
		late(ctx)
	})
	context.AfterFunc(ctx, func() { waiting.timer.Stop() })
	return waiting
}

// errNoMessage is why the context of a call ended whose message did not arrive.
var errNoMessage = errors.New("the message of the call did not arrive in time")

// awaitingMessage is the context of a call until its message has arrived. gRPC answers by the
// error of the context, so it is that of a deadline.
type awaitingMessage struct {
	context.Context //nolint:containedctx // It is one.
	timer           *time.Timer
}

type awaitingKey struct{}

// Err implements context.Context.
func (w *awaitingMessage) Err() error {
	err := w.Context.Err()
	if err != nil && errors.Is(context.Cause(w.Context), errNoMessage) {
		return context.DeadlineExceeded
	}
	return err
}

// Value implements context.Context.
func (w *awaitingMessage) Value(key any) any {
	if key == (awaitingKey{}) {
		return w
	}
	return w.Context.Value(key)
}

// readKey leads to an atomic.Bool that tells whether the message of a call has been read.
type readKey struct{}

// arrived notes that the message of a call is there.
func arrived(ctx context.Context) {
	if read, ok := ctx.Value(readKey{}).(*atomic.Bool); ok {
		read.Store(true)
	}
	if w, ok := ctx.Value(awaitingKey{}).(*awaitingMessage); ok {
		w.timer.Stop()
	}
}

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	arrived(ctx)
	c := g.newCall(info.FullMethod)
	// The closure is what recover works in.
	defer func() { err = c.end(ctx, recover(), err) }()
	ctx, err = c.admit(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.accept(ctx, req); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (g *gate) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	stop := context.AfterFunc(g.draining, func() { cancel(errDraining) })
	defer stop()
	c := g.newCall(info.FullMethod)
	defer func() { err = c.end(ctx, recover(), err) }()
	ctx, err = c.admit(ctx)
	if err != nil {
		return err
	}
	if c.shown != (credential{}) {
		leave, err := g.streams.enter(caller(ctx).Token)
		if err != nil {
			return err
		}
		defer leave()
		watching, stopWatching := context.WithCancel(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			g.watch(watching, c.shown, cancel)
		}()
		defer func() {
			stopWatching()
			<-watched
		}()
	}
	return handle(srv, &gatedStream{ServerStream: ss, ctx: ctx, call: c})
}

// watch ends a stream whose token was revoked or has expired, or whose session has ended.
func (g *gate) watch(ctx context.Context, shown credential, end context.CancelCauseFunc) {
	ticker := time.NewTicker(g.recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		var refusal *service.Error
		// A store that does not answer now is asked again.
		if _, err := g.authenticate(ctx, shown); errors.As(err, &refusal) {
			end(refusal)
			return
		}
	}
}

// gatedStream is a stream with the caller's identity and checked messages.
type gatedStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // grpc.ServerStream is made this way.
	call *call
}

// Context returns the context with the caller, which ends when the server stops or
// the token does.
func (s *gatedStream) Context() context.Context { return s.ctx }

// SendMsg sends a message, unless the stream has been ended.
func (s *gatedStream) SendMsg(m any) error {
	if err := s.ctx.Err(); err != nil {
		return err
	}
	return s.send(m)
}

// RecvMsg receives a message that keeps the rules of the contract and that the caller may
// send.
func (s *gatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		if status.Code(err) == codes.Internal {
			// gRPC takes a message that it cannot read for a fault of the server.
			return status.Error(codes.InvalidArgument, unreadable+status.Convert(err).Message())
		}
		return err
	}
	arrived(s.ctx)
	return s.call.accept(s.ctx, m)
}

// check validates a message of the contract by the rules in it.
func (g *gate) check(ctx context.Context, message any) error {
	m, ok := message.(proto.Message)
	if !ok || !contract.Holds(m) {
		return nil
	}
	if err := checkSize(message); err != nil {
		return err
	}
	if err := g.checkFields(ctx, m); err != nil {
		return err
	}
	validator, err := g.validator()
	if err != nil {
		return err
	}
	var broken *protovalidate.ValidationError
	if err := validator.Validate(m); !errors.As(err, &broken) {
		return err
	}
	violations := make([]pipeline.Violation, len(broken.Violations))
	for i, v := range broken.Violations {
		field := protovalidate.FieldPathString(v.Proto.GetField())
		path, err := pipeline.ParsePath(field)
		if err != nil {
			path = pipeline.Path(nil).Field(field)
		}
		violations[i] = pipeline.Violation{Path: path, Message: v.Proto.GetMessage()}
	}
	return service.Invalid("", violations...)
}

// newValidator returns a validator that compiles the rules of a message when it
// first meets it.
func newValidator() (protovalidate.Validator, error) { return protovalidate.New() }

// call is one call on its way through the gate.
type call struct {
	gate      *gate
	path      string
	method    method
	began     time.Time
	principal string
	// shown is what the caller was authenticated by, until the call ends.
	shown credential
}

func (g *gate) newCall(path string) *call {
	return &call{gate: g, path: path, method: g.methods[path], began: g.clock()}
}

// accept checks a request, and that the caller may send it.
func (c *call) accept(ctx context.Context, request any) error {
	if err := c.gate.check(ctx, request); err != nil {
		return err
	}
	return c.method.authorize(caller(ctx), request)
}

type identityKey struct{}

// caller returns who calls. Every method that is not open has one.
func caller(ctx context.Context) auth.Identity {
	who, _ := ctx.Value(identityKey{}).(auth.Identity)
	return who
}

// admit authenticates the caller, unless the method needs no token.
func (c *call) admit(ctx context.Context) (context.Context, error) {
	if c.method.open() {
		return ctx, nil
	}
	header, _ := metadata.FromIncomingContext(ctx)
	shown, err := credentialOf(ctx, header)
	if err != nil {
		return ctx, err
	}
	who, err := c.gate.authenticate(ctx, shown)
	if err != nil {
		return ctx, err
	}
	c.principal, c.shown = who.Principal, shown
	return context.WithValue(ctx, identityKey{}, who), nil
}

// credential is what a caller shows: the secret of a token, or that of a session, which the door
// took out of a cookie and a header.
type credential struct{ token, session string }

// sessionKey leads to the secret of a session.
type sessionKey struct{}

// credentialOf returns what came with a call. A token goes before a session.
func credentialOf(ctx context.Context, header metadata.MD) (credential, error) {
	if secret, ok := ctx.Value(sessionKey{}).(string); ok && len(header.Get("authorization")) == 0 {
		return credential{session: secret}, nil
	}
	secret, err := bearerIn(header)
	return credential{token: secret}, err
}

// authenticate returns who a credential stands for.
func (g *gate) authenticate(ctx context.Context, shown credential) (auth.Identity, error) {
	if shown.session == "" {
		return g.accounts.Authenticate(ctx, shown.token)
	}
	who, _, err := g.accounts.AuthenticateSession(ctx, shown.session)
	return who, err
}

func bearerIn(header metadata.MD) (string, error) {
	if values := header.Get("authorization"); len(values) == 1 {
		scheme, secret, ok := strings.Cut(values[0], " ")
		if ok && strings.EqualFold(scheme, "Bearer") && secret != "" {
			return secret, nil
		}
	}
	return "", &service.Error{
		Kind: service.KindUnauthenticated, Reason: pipeline.ReasonUnauthenticated,
		Message: "no token came with the call; send one as authorization: Bearer TOKEN",
	}
}

// end maps what a call ended with, logs it and counts it.
func (c *call) end(ctx context.Context, panicked any, err error) error {
	took := c.gate.clock().Sub(c.began)
	log := c.gate.log
	if c.principal == "" {
		log = c.gate.strangers
	}
	fields := []any{"method", logging.Cut(c.path, maxPath), "took", took, "principal", c.principal}
	if p, ok := peer.FromContext(ctx); ok {
		fields = append(fields, "peer", p.Addr)
	}
	var s *status.Status
	if panicked != nil {
		id := newErrorID()
		s = internal(id)
		log.Error("A call panicked", append(fields, "error_id", id, "panic", logging.Cut(fmt.Sprint(panicked), maxText), "stack", string(debug.Stack()))...)
	} else {
		var id string
		s, id = toStatus(ctx, err)
		s = bounded(s)
		fields = append(fields, "code", s.Code())
		switch {
		case id != "":
			log.Error("A call failed", append(fields, "error_id", id, "error", logging.Cut(err.Error(), maxText))...)
		case s.Code() != codes.OK:
			log.Info("A call was refused", append(fields, "reason", s.Message())...)
		case c.method.reads:
			log.Debug("A call was answered", fields...)
		default:
			log.Info("A call was answered", fields...)
		}
	}
	c.gate.observe(c.label(), s.Code(), took)
	return s.Err()
}

// label returns what metrics name the method by.
func (c *call) label() string {
	if c.gate.registered[c.path] {
		return c.path
	}
	return UnknownMethod
}

// bounded returns a status with the start of its message. Its details keep all the
// fields that are wrong.
func bounded(s *status.Status) *status.Status {
	if len(s.Message()) <= maxText {
		return s
	}
	p := s.Proto()
	p.Message = logging.Cut(p.GetMessage(), maxText)
	return status.FromProto(p)
}
