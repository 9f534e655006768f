package client

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// serviceConfig returns gRPC's service config with the retry policy of the methods that
// the contract allows to send again: four tries within less than a second. That carries a
// call over a dropped connection. A server that is down is reported soon, since a plan
// calls it for every object. A watch, which waits for a restart, tries longer itself.
func serviceConfig() string {
	var names []string
	for _, method := range contract.Methods() {
		if method.Repeatable() {
			names = append(names, fmt.Sprintf(`{"service":%q,"method":%q}`, method.Parent().FullName(), method.Name()))
		}
	}
	return `{"methodConfig":[{"name":[` + strings.Join(names, ",") + `],"retryPolicy":{` +
		`"maxAttempts":4,"initialBackoff":"0.1s","maxBackoff":"0.4s","backoffMultiplier":2,` +
		`"retryableStatusCodes":["UNAVAILABLE"]}}]}`
}

// reconnect lets a connection be tried as often as calls are sent again: with
// gRPC's own second of pause most tries would never leave this machine.
func reconnect() grpc.ConnectParams {
	return grpc.ConnectParams{
		Backoff: backoff.Config{
			BaseDelay: 100 * time.Millisecond, Multiplier: backoff.DefaultConfig.Multiplier,
			Jitter: backoff.DefaultConfig.Jitter, MaxDelay: time.Second,
		},
		MinConnectTimeout: connectTimeout,
	}
}

// requestIDs gives requests an id where the caller set none, if the contract says that a
// method may be sent again with one. Keys are the paths of the methods.
type requestIDs map[string]protoreflect.FieldDescriptor

func newRequestIDs() requestIDs {
	fields := make(requestIDs)
	for _, method := range contract.Methods() {
		if field := method.RequestID(); field != nil {
			fields[method.Path()] = field
		}
	}
	return fields
}

func (r requestIDs) unary(
	ctx context.Context, method string, req, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	return invoke(ctx, method, r.identified(method, req), reply, conn, options...)
}

// identified returns the request with a request id. The caller's message stays
// as it is: a second call with the same message is a second request.
func (r requestIDs) identified(method string, req any) any {
	field, carries := r[method]
	message, ok := req.(proto.Message)
	if !carries || !ok || message.ProtoReflect().Has(field) {
		return req
	}
	message = proto.Clone(message)
	message.ProtoReflect().Set(field, protoreflect.ValueOfString(uuid.NewString()))
	return message
}
