package client

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// age keeps a client from losing what its server does not know yet: a server that is
// older than a field drops it without a word, if it is older than revisions. It asks for
// the server's revision once, before the first request that holds something newer than
// the first one.
type age struct {
	endpoint string

	mu     sync.Mutex
	server *headracev1.GetServerInfoResponse
}

// Supported returns the error that a call with the request would fail with since the
// server does not know all that is in it. It asks the server, at most once.
func (c *Client) Supported(ctx context.Context, request proto.Message) error {
	_, err := c.age.fit(ctx, request, c.conn)
	return c.rim.wrap(err)
}

// fit returns a request as the server can read it, or refuses what it would lose.
func (a *age) fit(ctx context.Context, request any, conn grpc.ClientConnInterface) (any, error) {
	message, ok := request.(proto.Message)
	if !ok || !contract.Holds(message) {
		return request, nil
	}
	server := a.serverInfo()
	if server == nil {
		if contract.Newest(message) == contract.First {
			return request, nil
		}
		var err error
		if server, err = a.ask(ctx, conn); err != nil {
			return request, err
		}
	}
	revision := contract.RevisionOf(server)
	if revision >= contract.Revision() {
		return request, nil
	}
	if newer := contract.Newer(message, revision); len(newer) > 0 {
		return request, a.tooOld(server, message, newer)
	}
	return contract.Downgrade(message, revision), nil
}

func (a *age) serverInfo() *headracev1.GetServerInfoResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.server
}

// ask returns what the server is. An error is not kept: the next call asks again.
func (a *age) ask(ctx context.Context, conn grpc.ClientConnInterface) (*headracev1.GetServerInfoResponse, error) {
	info, err := headracev1.NewServerServiceClient(conn).GetServerInfo(ctx, &headracev1.GetServerInfoRequest{})
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.server = info
	return info, nil
}

// tooOld refuses a request, with a violation for each field that the server lacks.
func (a *age) tooOld(server *headracev1.GetServerInfoResponse, message proto.Message, newer []contract.Field) error {
	revision := contract.RevisionOf(server)
	request := message.ProtoReflect().Descriptor()
	details := &errdetails.BadRequest{}
	text := fmt.Sprintf("headraced at %s is older than this program (version %s, contract revision %d): upgrade it, or remove the fields that it does not support",
		a.endpoint, server.GetVersion(), revision)
	if contract.NewCall(request, revision) {
		text = fmt.Sprintf("%s needs headraced with contract revision %d or later; the one at %s has version %s (contract revision %d): upgrade it",
			strings.TrimSuffix(string(request.Name()), "Request"), newer[0].Since, a.endpoint, server.GetVersion(), revision)
		newer = nil
	}
	for _, field := range newer {
		details.FieldViolations = append(details.FieldViolations, &errdetails.BadRequest_FieldViolation{
			Field: field.Path.String(),
			Description: fmt.Sprintf("%s needs headraced with contract revision %d or later; the one at %s has version %s (contract revision %d): "+
				"upgrade it, or remove %s", field, field.Since, a.endpoint, server.GetVersion(), revision, field.Name()),
		})
	}
	refusal := status.New(codes.FailedPrecondition, text)
	info := &errdetails.ErrorInfo{Reason: string(pipeline.ReasonServerTooOld), Domain: pipeline.ErrorDomain}
	if detailed, err := refusal.WithDetails(info, details); err == nil {
		refusal = detailed
	}
	return refusal.Err()
}

// declared adds the revision of this program to a call.
func declared(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, contract.Header, strconv.FormatUint(uint64(contract.Revision()), 10))
}

func (a *age) unary(
	ctx context.Context, method string, req, reply any,
	conn *grpc.ClientConn, invoke grpc.UnaryInvoker, options ...grpc.CallOption,
) error {
	req, err := a.fit(ctx, req, conn)
	if err != nil {
		return err
	}
	return invoke(declared(ctx), method, req, reply, conn, options...)
}

func (a *age) stream(
	ctx context.Context, desc *grpc.StreamDesc, conn *grpc.ClientConn,
	method string, open grpc.Streamer, options ...grpc.CallOption,
) (grpc.ClientStream, error) {
	ctx, cancel := context.WithCancel(declared(ctx))
	stream, err := open(ctx, desc, conn, method, options...)
	if err != nil {
		cancel()
		return nil, err
	}
	// The end of the stream ends its context.
	context.AfterFunc(stream.Context(), cancel)
	return agedStream{ClientStream: stream, age: a, conn: conn, cancel: cancel}, nil
}

// agedStream is a stream whose requests the server can read.
type agedStream struct {
	grpc.ClientStream
	age    *age
	conn   *grpc.ClientConn
	cancel context.CancelFunc
}

// SendMsg sends a message, unless the server would lose a part of it.
func (s agedStream) SendMsg(m any) error {
	m, err := s.age.fit(s.Context(), m, s.conn)
	if err != nil {
		s.cancel()
		return err
	}
	return s.ClientStream.SendMsg(m)
}
