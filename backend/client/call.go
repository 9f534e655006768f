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
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// ErrBadCall is in the chain of errors of Call where nothing was sent: there is no
// such method, or the request is not one of its.
var ErrBadCall = errors.New("the call cannot be made")

// methods returns the methods of the contract by name, which is unique among the
// services.
func methods() map[string]protoreflect.MethodDescriptor {
	all := make(map[string]protoreflect.MethodDescriptor)
	contract := headracev1.File_headrace_v1_pipeline_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(contract, func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				all[string(method.Name())] = method
			}
		}
		return true
	})
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
		return fmt.Errorf("%w: the request is no %s: %w", ErrBadCall, method.Input().Name(), err)
	}
	path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), name)
	if !method.IsStreamingServer() {
		answer := out.New().Interface()
		if err := c.conn.Invoke(ctx, path, message, answer); err != nil {
			return err
		}
		return answered(answer)
	}
	// The end of the context ends the stream where it is not read to its end.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, path)
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
