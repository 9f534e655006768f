package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// ErrBadCall is in the chain of errors of Call where nothing was sent: there is no
// such method, or the request is not valid for it.
var ErrBadCall = errors.New("the call cannot be made")

// methods returns the methods of the contract by name, which is unique among the
// services.
func methods() map[string]contract.Method {
	all := make(map[string]contract.Method)
	for _, method := range contract.Methods() {
		all[string(method.Name())] = method
	}
	return all
}

// Methods returns the names of all methods of the contract, sorted.
func Methods() []string {
	var names []string
	for name := range methods() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Call calls a method of the contract by its name, with a request in the JSON form
// of protocol buffers. Answered is called with every answer: one, or those of a
// stream as they come.
func (c *Client) Call(ctx context.Context, name string, request []byte, answered func(proto.Message) error) error {
	method, ok := methods()[name]
	if !ok {
		return fmt.Errorf("%w: the contract has no method %q", ErrBadCall, name)
	}
	in, err := protoregistry.GlobalTypes.FindMessageByName(method.Input().FullName())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadCall, err)
	}
	out, err := protoregistry.GlobalTypes.FindMessageByName(method.Output().FullName())
	if err != nil {
		return fmt.Errorf("%w: %w", ErrBadCall, err)
	}
	message := in.New().Interface()
	if err := protojson.Unmarshal(request, message); err != nil {
		return fmt.Errorf("%w: the request is not a valid %s: %w", ErrBadCall, method.Input().Name(), err)
	}
	if !method.Streams() {
		answer := out.New().Interface()
		if err := c.conn.Invoke(ctx, method.Path(), message, answer); err != nil {
			return err
		}
		return answered(answer)
	}
	// The end of the context ends the stream where it is not read to its end.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, method.Path())
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(message), stream.CloseSend()); err != nil {
		return err
	}
	for {
		answer := out.New().Interface()
		err := stream.RecvMsg(answer)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := answered(answer); err != nil {
			return err
		}
	}
}
