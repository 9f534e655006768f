package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Error is a failed call. It keeps gRPC's status, so status.Code works on it.
type Error struct {
	// Endpoint is the server that was called.
	Endpoint string
	// HasToken tells whether a token was sent.
	HasToken bool

	status *status.Status
}

// Error returns what Describe says.
func (e *Error) Error() string {
	message := e.status.Message()
	switch e.status.Code() {
	case codes.Unavailable:
		if Reason(e) == pipeline.ReasonStoreUnavailable {
			return fmt.Sprintf("headraced at %s: %s", e.Endpoint, message)
		}
		if about := certificateDates(message); about != "" {
			return fmt.Sprintf("the certificate of headraced at %s %s", e.Endpoint, about)
		}
		return fmt.Sprintf("cannot reach headraced at %s: %s; is it running, and is the endpoint right?",
			e.Endpoint, unavailable(message))
	case codes.DeadlineExceeded:
		return fmt.Sprintf("headraced at %s did not answer in time", e.Endpoint)
	case codes.Canceled:
		return "the call was cancelled"
	case codes.Unauthenticated:
		if !e.HasToken {
			return fmt.Sprintf("headraced at %s wants a token: set %s, or %s to the file that holds it", e.Endpoint, EnvToken, EnvTokenFile)
		}
		return fmt.Sprintf("headraced at %s does not accept the token: %s", e.Endpoint, message)
	case codes.Unimplemented:
		return fmt.Sprintf("headraced at %s does not know this call; it may be older than this program: %s", e.Endpoint, message)
	case codes.DataLoss:
		// The server says what to do about its database.
		return fmt.Sprintf("headraced at %s: %s", e.Endpoint, message)
	case codes.Internal, codes.Unknown:
		return fmt.Sprintf("headraced at %s failed: %s; its log says more", e.Endpoint, message)
	case codes.ResourceExhausted:
		if strings.Contains(message, tooLarge) {
			return fmt.Sprintf("a message is larger than headraced at %s takes, which is %d MiB for a request and %d MiB for an answer: %s",
				e.Endpoint, maxRequestSize>>20, maxAnswerSize>>20, message)
		}
		return message
	default:
		return withViolations(message, e.violations())
	}
}

// tooLarge is in gRPC's own words for a message over a limit, of either side.
const tooLarge = "larger than max"

// withViolations adds those violations that the message does not quote already.
func withViolations(message string, violations []Violation) string {
	lines := []string{message}
	for _, v := range violations {
		line := v.Description
		if v.Field != "" {
			line = v.Field + ": " + line
		}
		if !strings.Contains(message, v.Description) {
			lines = append(lines, "  "+line)
		}
	}
	return strings.Join(lines, "\n")
}

// GRPCStatus returns the status as the server sent it.
func (e *Error) GRPCStatus() *status.Status {
	return e.status
}

// Is makes errors.Is find the context's errors, which gRPC turns into codes.
func (e *Error) Is(target error) bool {
	switch target {
	case context.Canceled:
		return e.status.Code() == codes.Canceled
	case context.DeadlineExceeded:
		return e.status.Code() == codes.DeadlineExceeded
	}
	return false
}

// unavailable strips gRPC's own words off the cause of a failed connection.
func unavailable(message string) string {
	if strings.Contains(message, "tls: first record does not look like a TLS handshake") {
		return "it does not speak TLS there (plaintext beyond this machine needs insecure = true)"
	}
	// Around the cause stand how often it was tried and which layer said it.
	if i := strings.LastIndex(message, "desc = "); i >= 0 {
		message = message[i+len("desc = "):]
	}
	message = strings.ReplaceAll(strings.Trim(message, `"`), `\"`, `"`)
	return strings.TrimPrefix(message, "transport: Error while dialing: ")
}

// certificateDates says why the server's certificate is not valid at this time, and what to do
// about it. It returns nothing if another reason ended the connection.
func certificateDates(message string) string {
	// These are the words of crypto/x509, then "current time T is after T" or "is before T".
	_, dates, found := strings.Cut(message, "x509: certificate has expired or is not yet valid: ")
	dates = strings.TrimRight(dates, `"`)
	switch {
	case !found:
		return ""
	case strings.Contains(dates, " is before "):
		return "is not valid yet: " + dates + "; set the clocks of this machine and of the server"
	default:
		return "has expired: " + dates + "; renew it on the server, or set the clock of this machine if it is wrong"
	}
}

// Violation is one broken rule of a request.
type Violation struct {
	// Field is the path of the field, for instance
	// stages[1].actions[0].configuration["RepositoryUrl"]. Empty for the whole.
	Field string
	// Description says what is wrong and what to do about it.
	Description string
}

// Violations returns the field violations (google.rpc.BadRequest) of an error,
// none where it carries none.
func Violations(err error) []Violation {
	var e *Error
	if errors.As(err, &e) {
		return e.violations()
	}
	return (&Error{status: status.Convert(err)}).violations()
}

func (e *Error) violations() []Violation {
	var violations []Violation
	for _, detail := range e.status.Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				violations = append(violations, Violation{Field: v.GetField(), Description: v.GetDescription()})
			}
		}
	}
	return violations
}

// Reason returns the machine-readable reason (google.rpc.ErrorInfo) of an
// error, empty where it carries none of Headrace's.
func Reason(err error) pipeline.Reason {
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok && info.GetDomain() == pipeline.ErrorDomain {
			return pipeline.Reason(info.GetReason())
		}
	}
	return ""
}

// IsNotFound tells whether the named object does not exist.
func IsNotFound(err error) bool {
	return err != nil && status.Code(err) == codes.NotFound
}

// Describe returns an error as one message for a person: what is wrong, where,
// and what to do about it.
func Describe(err error) string {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return err.Error()
	}
	if s, ok := status.FromError(err); ok {
		return s.Message()
	}
	return err.Error()
}

// rim turns the errors of calls into *Error. It is the outermost interceptor.
type rim struct {
	endpoint string
	hasToken bool
}

func (r rim) wrap(err error) error {
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return &Error{Endpoint: r.endpoint, HasToken: r.hasToken, status: status.Convert(err)}
}

func (r rim) unary(
	ctx context.Context, method string, req, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	return r.wrap(invoke(ctx, method, req, reply, conn, options...))
}

func (r rim) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn,
	method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	stream, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		return nil, r.wrap(err)
	}
	return rimStream{ClientStream: stream, rim: r}, nil
}

// rimStream is a stream whose errors are of type *Error.
type rimStream struct {
	grpc.ClientStream
	rim rim
}

// SendMsg sends a message.
func (s rimStream) SendMsg(m any) error {
	return s.rim.wrap(s.ClientStream.SendMsg(m))
}

// RecvMsg receives a message; io.EOF is the end and stays as it is.
func (s rimStream) RecvMsg(m any) error {
	return s.rim.wrap(s.ClientStream.RecvMsg(m))
}
