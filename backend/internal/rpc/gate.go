package rpc

import (
	"context"
	"errors"
	"runtime/debug"
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
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// gate is what every call passes: it is authenticated, its messages are
// validated, panics and errors become statuses, and the call is logged.
type gate struct {
	accounts  *service.Accounts
	log       hclog.Logger
	observe   func(method string, code codes.Code, took time.Duration)
	clock     func() time.Time
	validator func() (protovalidate.Validator, error)
	// draining ends when the server begins to stop.
	draining context.Context //nolint:containedctx // The life of the server, not of a call.
}

// errDraining is why the context of a stream ended when the server stops.
var errDraining = errors.New("the server is stopping")

// open tells whether a method needs no token. What is not named here does.
func open(method string) bool {
	switch method {
	case headracev1.ServerService_GetServerInfo_FullMethodName,
		grpc_health_v1.Health_Check_FullMethodName,
		grpc_health_v1.Health_List_FullMethodName,
		grpc_health_v1.Health_Watch_FullMethodName:
		return true
	}
	return false
}

func (g *gate) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (resp any, err error) {
	c := &call{gate: g, method: info.FullMethod, began: g.clock()}
	// The closure is what recover works in.
	defer func() { err = c.end(ctx, recover(), err) }()
	ctx, err = c.admit(ctx)
	if err != nil {
		return nil, err
	}
	if err := g.check(req); err != nil {
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
	return handle(srv, &gatedStream{ServerStream: ss, ctx: ctx, gate: g})
}

// gatedStream is a stream with the caller's identity and checked messages.
type gatedStream struct {
	grpc.ServerStream
	ctx  context.Context //nolint:containedctx // grpc.ServerStream is made this way.
	gate *gate
}

// Context returns the context with the caller, which ends when the server stops.
func (s *gatedStream) Context() context.Context { return s.ctx }

// RecvMsg receives a message that keeps the rules of the contract.
func (s *gatedStream) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	return s.gate.check(m)
}

// check validates a message of the contract by the rules in it.
func (g *gate) check(message any) error {
	m, ok := message.(proto.Message)
	if !ok || m.ProtoReflect().Descriptor().ParentFile().Package() != headracev1.File_headrace_v1_pipeline_proto.Package() {
		return nil
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
	c.principal = who.Principal
	return context.WithValue(ctx, identityKey{}, who), nil
}

// bearer returns the token that came with a call.
func bearer(ctx context.Context) (string, error) {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) == 1 {
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
		c.gate.log.Error("A call panicked", append(fields, "error_id", id, "panic", panicked, "stack", string(debug.Stack()))...)
	} else {
		var id string
		s, id = toStatus(ctx, err)
		fields = append(fields, "code", s.Code())
		switch {
		case id != "":
			c.gate.log.Error("A call failed", append(fields, "error_id", id, "error", err)...)
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
