package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// answer sends an error, or a panic, through the gate and returns the status and
// the log.
func answer(t *testing.T, handle grpc.UnaryHandler) (*status.Status, string) {
	t.Helper()
	var log bytes.Buffer
	observed := codes.Code(99)
	logger := hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Debug})
	g := &gate{
		log: logger, strangers: logger, clock: time.Now, registered: map[string]bool{headracev1.ServerService_GetServerInfo_FullMethodName: true},
		observe: func(method string, code codes.Code, _ time.Duration) {
			require.Equal(t, headracev1.ServerService_GetServerInfo_FullMethodName, method)
			observed = code
		},
		draining: t.Context(), methods: methodsByPath(),
	}
	info := &grpc.UnaryServerInfo{FullMethod: headracev1.ServerService_GetServerInfo_FullMethodName}
	_, err := g.unary(t.Context(), nil, info, handle)
	require.Equal(t, status.Code(err), observed, "the call is counted under its code")
	return status.Convert(err), log.String()
}

func TestErrorsBecomeStatuses(t *testing.T) {
	t.Parallel()
	refusal := func(kind service.Kind) error {
		return fmt.Errorf("wrapped: %w", &service.Error{Kind: kind, Reason: pipeline.ReasonNotFound, Message: "words for the caller"})
	}
	tests := map[string]struct {
		err  error
		code codes.Code
	}{
		"none":             {nil, codes.OK},
		"invalid":          {refusal(service.KindInvalid), codes.InvalidArgument},
		"not found":        {refusal(service.KindNotFound), codes.NotFound},
		"already exists":   {refusal(service.KindAlreadyExists), codes.AlreadyExists},
		"conflict":         {refusal(service.KindConflict), codes.Aborted},
		"precondition":     {refusal(service.KindPrecondition), codes.FailedPrecondition},
		"denied":           {refusal(service.KindDenied), codes.PermissionDenied},
		"unauthenticated":  {refusal(service.KindUnauthenticated), codes.Unauthenticated},
		"exhausted":        {refusal(service.KindExhausted), codes.ResourceExhausted},
		"hung up":          {fmt.Errorf("read: %w", context.Canceled), codes.Canceled},
		"too late":         {fmt.Errorf("read: %w", context.DeadlineExceeded), codes.DeadlineExceeded},
		"stopping":         {service.ErrStopping, codes.Unavailable},
		"gRPC's own":       {status.Error(codes.Unimplemented, "no such method"), codes.Unimplemented},
		"of the store":     {fmt.Errorf("read: %w", store.ErrNotFound), codes.Internal},
		"disk full":        {fmt.Errorf("write: %w", store.ErrFull), codes.ResourceExhausted},
		"database damaged": {fmt.Errorf("read: %w", store.ErrDamaged), codes.DataLoss},
		"no database":      {fmt.Errorf("write: %w", store.ErrUnavailable), codes.Unavailable},
		"of somebody else": {errors.New("disk I/O error in /secret/path"), codes.Internal},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, log := answer(t, func(context.Context, any) (any, error) { return nil, test.err })
			require.Equal(t, test.code, s.Code())
			require.Contains(t, log, headracev1.ServerService_GetServerInfo_FullMethodName)
			var refused *service.Error
			switch {
			case errors.As(test.err, &refused):
				require.Equal(t, "words for the caller", s.Message(), "what wraps it is not for callers")
				info, ok := s.Details()[0].(*errdetails.ErrorInfo)
				require.True(t, ok)
				require.Equal(t, string(pipeline.ReasonNotFound), info.GetReason())
				require.Equal(t, "headrace.dev", info.GetDomain())
			case test.code == codes.Internal:
				require.NotContains(t, s.Message(), test.err.Error())
				require.Contains(t, log, test.err.Error())
				requireSameID(t, s.Message(), log)
			}
		})
	}
}

func TestPanicEndsTheCallAndNotTheServer(t *testing.T) {
	t.Parallel()
	s, log := answer(t, func(context.Context, any) (any, error) {
		panic("oops, a secret") //nolint:forbidigo // What the gate must survive.
	})
	require.Equal(t, codes.Internal, s.Code())
	require.NotContains(t, s.Message(), "oops")
	require.Contains(t, log, "oops")
	require.Contains(t, log, "TestPanicEndsTheCallAndNotTheServer", "the stack is logged")
	requireSameID(t, s.Message(), log)
}

// requireSameID checks that the id in an answer leads to the log.
func requireSameID(t *testing.T, message, log string) {
	t.Helper()
	var id string
	_, err := fmt.Sscanf(message, "internal error, logged by the server with error_id %s", &id)
	require.NoError(t, err)
	require.NotEmpty(t, id)
	require.Contains(t, log, id)
}

func TestManyViolationsFitIntoAnAnswer(t *testing.T) {
	t.Parallel()
	violations := make([]pipeline.Violation, 5000)
	for i := range violations {
		violations[i] = pipeline.Violation{Path: pipeline.Path(nil).At("stages", i), Message: "wrong"}
	}
	s, _ := answer(t, func(context.Context, any) (any, error) {
		return nil, service.Invalid(pipeline.ReasonInvalidDefinition, violations...)
	})
	bad, ok := s.Details()[1].(*errdetails.BadRequest)
	require.True(t, ok)
	require.Len(t, bad.GetFieldViolations(), 101)
	require.Equal(t, "and 4900 more", bad.GetFieldViolations()[100].GetDescription())
}
