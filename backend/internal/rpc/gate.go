package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"buf.build/go/protovalidate"
	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// gate is what every call passes: it is authenticated, its messages are
// validated, panics and errors become statuses, and the call is logged.
type gate struct {
	accounts *service.Accounts
	// version is the server's.
	version   string
	log       hclog.Logger
	observe   func(method string, code codes.Code, took time.Duration)
	clock     func() time.Time
	validator func() (protovalidate.Validator, error)
	// draining ends when the server begins to stop.
	draining context.Context //nolint:containedctx // The life of the server, not of a call.
	// recheck is how often the token of an open stream is looked at again.
	recheck time.Duration
	// strangers holds a slot for each call at once of a method that is open to all.
	strangers map[string]chan struct{}
	// strangerTimeout ends such calls, but for those that watch.
	strangerTimeout time.Duration
	// streaming are the methods that go on; callTimeout ends calls of all others, also
	// ones whose message never comes.
	streaming   map[string]bool
	callTimeout time.Duration
	// streams counts those of each caller; stall ends one that nobody reads.
	streams streamsOf
	stall   time.Duration
}

const (
	// recheckEvery bounds how long a stream outlives its token.
	recheckEvery = 5 * time.Second
	// maxStrangers bounds the calls at once of a method that needs no token, and so
	// what the messages of people without one take.
	maxStrangers = 16
	// strangerTimeout is far more than an answer that asks no store takes.
	strangerTimeout = 10 * time.Second
	// callTimeout is far more than the clients' own deadline.
	callTimeout = 2 * time.Minute
	// knockTimeout bounds the look at a token before a message is read.
	knockTimeout = 5 * time.Second
	// maxText bounds what is said and logged of one error, in bytes.
	maxText = 1 << 10
)

// errDraining is why the context of a stream ended when the server stops.
var errDraining = errors.New("the server is stopping")

// openMethods are those that need no token.
func openMethods() []string {
	return []string{
		headracev1.ServerService_GetServerInfo_FullMethodName,
		grpc_health_v1.Health_Check_FullMethodName,
		grpc_health_v1.Health_List_FullMethodName,
		grpc_health_v1.Health_Watch_FullMethodName,
	}
}

// open tells whether a method needs no token.
func open(method string) bool { return slices.Contains(openMethods(), method) }

// newStrangers returns the slots of the methods that need no token.
func newStrangers() map[string]chan struct{} {
	slots := make(map[string]chan struct{})
	for _, method := range openMethods() {
		slots[method] = make(chan struct{}, maxStrangers)
	}
	return slots
}

// knock refuses calls without a token that works before any of their messages is
// read, since a message may be large. It is a filter: what a caller may do is for
// the interceptors to find out.
func (g *gate) knock(ctx context.Context, info *tap.Info) (context.Context, error) {
	c := &call{gate: g, method: info.FullMethodName, began: g.clock()}
	if open(info.FullMethodName) {
		ctx, err := g.letIn(ctx, info.FullMethodName)
		if err != nil {
			return ctx, c.end(ctx, nil, err)
		}
		return ctx, nil
	}
	secret, err := bearerIn(info.Header)
	if err == nil {
		limited, cancel := context.WithTimeout(ctx, knockTimeout)
		defer cancel()
		_, err = g.accounts.Authenticate(limited, secret)
	}
	if err != nil {
		return ctx, c.end(ctx, nil, err)
	}
	if g.streaming[info.FullMethodName] {
		return ctx, nil
	}
	ctx, cancel := context.WithTimeout(ctx, g.callTimeout)
	// The end of the call ends its parent.
	context.AfterFunc(ctx, cancel)
	return ctx, nil
}

// letIn gives a call that needs no token a slot until it ends.
func (g *gate) letIn(ctx context.Context, method string) (context.Context, error) {
	slots := g.strangers[method]
	select {
	case slots <- struct{}{}:
	default:
		return ctx, status.Error(codes.Unavailable, "too many calls without a token at once; try again")
	}
	cancel := func() {}
	if method != grpc_health_v1.Health_Watch_FullMethodName {
		ctx, cancel = context.WithTimeout(ctx, g.strangerTimeout)
	}
	context.AfterFunc(ctx, func() {
		cancel()
		<-slots
	})
	return ctx, nil
}

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	c := &call{gate: g, method: info.FullMethod, began: g.clock()}
	// The closure is what recover works in.
	defer func() { err = c.end(ctx, recover(), err) }()
	ctx, err = c.admit(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.check(ctx, req); err != nil {
		return nil, err
	}
	return handle(ctx, req)
}

func (g *gate) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	ctx, cancel := context.WithCancelCause(ss.Context())
	defer cancel(nil)
	stop := context.AfterFunc(g.draining, func() { cancel(errDraining) })
	defer stop()
	c := &call{gate: g, method: info.FullMethod, began: g.clock()}
	defer func() { err = c.end(ctx, recover(), err) }()
	ctx, err = c.admit(ctx)
	if err != nil {
		return err
	}
	if c.secret != "" {
		leave, err := g.streams.enter(caller(ctx).Token)
		if err != nil {
			return err
		}
		defer leave()
		watching, stopWatching := context.WithCancel(ctx)
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			g.watchToken(watching, c.secret, cancel)
		}()
		defer func() {
			stopWatching()
			<-watched
		}()
	}
	return handle(srv, &gatedStream{ServerStream: ss, ctx: ctx, gate: g})
}

// watchToken ends a stream whose token was revoked or has expired.
func (g *gate) watchToken(ctx context.Context, secret string, end context.CancelCauseFunc) {
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
		if _, err := g.accounts.Authenticate(ctx, secret); errors.As(err, &refusal) {
			end(refusal)
			return
		}
	}
}

// gatedStream is a stream with the caller's identity and checked messages.
type gatedStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // grpc.ServerStream is made this way.
	gate *gate
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

// RecvMsg receives a message that keeps the rules of the contract.
func (s *gatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.gate.check(s.ctx, m)
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
	if err := g.knows(ctx, m); err != nil {
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
	method    string
	began     time.Time
	principal string
	// secret is the token that the call came with, until it ends.
	secret string
}

type identityKey struct{}

// caller returns who calls. Every method that is not open has one.
func caller(ctx context.Context) auth.Identity {
	who, _ := ctx.Value(identityKey{}).(auth.Identity)
	return who
}

// admit authenticates the caller where the method is not open to all.
func (c *call) admit(ctx context.Context) (context.Context, error) {
	if open(c.method) {
		return ctx, nil
	}
	secret, err := bearer(ctx)
	if err != nil {
		return ctx, err
	}
	who, err := c.gate.accounts.Authenticate(ctx, secret)
	if err != nil {
		return ctx, err
	}
	c.principal, c.secret = who.Principal, secret
	return context.WithValue(ctx, identityKey{}, who), nil
}

// bearer returns the token that came with a call.
func bearer(ctx context.Context) (string, error) {
	header, _ := metadata.FromIncomingContext(ctx)
	return bearerIn(header)
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
	fields := []any{"method", c.method, "took", took, "principal", c.principal}
	if p, ok := peer.FromContext(ctx); ok {
		fields = append(fields, "peer", p.Addr)
	}
	var s *status.Status
	if panicked != nil {
		id := newErrorID()
		s = internal(id)
		c.gate.log.Error("A call panicked", append(fields, "error_id", id, "panic", cut(fmt.Sprint(panicked)), "stack", string(debug.Stack()))...)
	} else {
		var id string
		s, id = toStatus(ctx, err)
		s = bounded(s)
		fields = append(fields, "code", s.Code())
		switch {
		case id != "":
			c.gate.log.Error("A call failed", append(fields, "error_id", id, "error", cut(err.Error()))...)
		case s.Code() != codes.OK:
			c.gate.log.Info("A call was refused", append(fields, "reason", s.Message())...)
		case reads(c.method):
			c.gate.log.Debug("A call was answered", fields...)
		default:
			c.gate.log.Info("A call was answered", fields...)
		}
	}
	c.gate.observe(c.method, s.Code(), took)
	return s.Err()
}

// bounded returns a status with the start of its message. Its details keep all the
// fields that are wrong.
func bounded(s *status.Status) *status.Status {
	if len(s.Message()) <= maxText {
		return s
	}
	p := s.Proto()
	p.Message = cut(p.GetMessage())
	return status.FromProto(p)
}

// cut returns the start of a text that may be of any length.
func cut(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}

// reads tells by its name whether a method changes nothing.
func reads(method string) bool {
	name := method[strings.LastIndexByte(method, '/')+1:]
	for _, prefix := range []string{"Get", "List", "Watch", "Tail", "Explain", "WhoAmI", "Check", "ServerReflection"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
