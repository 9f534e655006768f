package rpc

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// toStatus is the only place where errors become statuses. What is not meant for
// callers becomes a neutral text with an id, which is returned to be logged with
// the cause.
func toStatus(ctx context.Context, err error) (s *status.Status, id string) {
	if err == nil {
		return status.New(codes.OK, ""), ""
	}
	// A caller that hung up, or a server that stops, is nobody's fault.
	if errors.Is(context.Cause(ctx), errDraining) || errors.Is(err, service.ErrStopping) {
		return status.New(codes.Unavailable, errDraining.Error()), ""
	}
	// A stream is ended with a refusal when its token does.
	var ended *service.Error
	if errors.As(context.Cause(ctx), &ended) {
		return refused(ended), ""
	}
	switch {
	case errors.Is(err, context.Canceled):
		return status.New(codes.Canceled, "the call was cancelled"), ""
	case errors.Is(err, context.DeadlineExceeded):
		return status.New(codes.DeadlineExceeded, "the call took longer than its deadline"), ""
	}
	var refusal *service.Error
	if errors.As(err, &refusal) {
		return refused(refusal), ""
	}
	// gRPC's own errors: of a broken stream, of health and of reflection.
	var own interface{ GRPCStatus() *status.Status }
	if errors.As(err, &own) {
		return own.GRPCStatus(), ""
	}
	id = newErrorID()
	switch service.OutageOf(err) {
	case service.OutageFull:
		return status.New(codes.ResourceExhausted,
			"the server's disk is full and nothing was stored: free some space there and try again (error_id "+id+")"), id
	case service.OutageDamaged:
		return status.New(codes.DataLoss, "the server's database is damaged; its log says what to do (error_id "+id+")"), id
	case service.OutageUnanswered:
		s := status.New(codes.Unavailable, "the server's database does not answer: try again later. A write may have been stored or not, "+
			"so check before you repeat it (error_id "+id+")")
		// It tells clients that the server itself answered.
		if detailed, err := s.WithDetails(&errdetails.ErrorInfo{Reason: string(pipeline.ReasonStoreUnavailable), Domain: pipeline.ErrorDomain}); err == nil {
			s = detailed
		}
		return s, id
	default:
		return internal(id), id
	}
}

// refused returns the status of a refusal, with its fields, its reason and when to try
// again.
func refused(e *service.Error) *status.Status {
	s := status.New(code(e.Kind), e.Message)
	var details []protoadapt.MessageV1
	if e.Reason != "" {
		details = append(details, &errdetails.ErrorInfo{Reason: string(e.Reason), Domain: pipeline.ErrorDomain})
	}
	if len(e.Violations) > 0 {
		bad := &errdetails.BadRequest{}
		for _, v := range e.Violations {
			bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
				Field: v.Path.String(), Description: v.Message,
			})
		}
		details = append(details, bad)
	}
	if e.RetryAfter > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(e.RetryAfter)})
	}
	detailed, err := s.WithDetails(details...)
	if err != nil {
		// Only an OK status takes no details.
		return s
	}
	return detailed
}

func code(kind service.Kind) codes.Code {
	switch kind {
	case service.KindInvalid:
		return codes.InvalidArgument
	case service.KindNotFound:
		return codes.NotFound
	case service.KindAlreadyExists:
		return codes.AlreadyExists
	case service.KindConflict:
		return codes.Aborted
	case service.KindPrecondition:
		return codes.FailedPrecondition
	case service.KindDenied:
		return codes.PermissionDenied
	case service.KindUnauthenticated:
		return codes.Unauthenticated
	case service.KindExhausted:
		return codes.ResourceExhausted
	case service.KindDataLoss:
		return codes.DataLoss
	default:
		return codes.Internal
	}
}

func internal(id string) *status.Status {
	return status.New(codes.Internal, "internal error, logged by the server with error_id "+id)
}

// newErrorID returns an id that leads from an answer to a line of the log.
func newErrorID() string {
	var random [6]byte
	// crypto/rand never fails: it ends the program instead.
	_, _ = rand.Read(random[:])
	return hex.EncodeToString(random[:])
}
