package rpc

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// maxNamed bounds the fields that a refusal names.
const maxNamed = 5

// clientRevision returns the revision of the contract that the client of a call was built
// with. One that says nothing, or nothing that is a revision, is of the first.
func clientRevision(ctx context.Context) uint32 {
	header, _ := metadata.FromIncomingContext(ctx)
	values := header.Get(contract.Header)
	if len(values) != 1 {
		return contract.First
	}
	revision, err := strconv.ParseUint(values[0], 10, 32)
	if err != nil {
		return contract.First
	}
	return max(contract.First, uint32(revision))
}

// checkFields refuses a message with fields that the server would drop.
func (g *gate) checkFields(ctx context.Context, message proto.Message) error {
	unknown := contract.Unknown(message, maxNamed)
	if len(unknown) == 0 {
		return nil
	}
	return &service.Error{
		Kind: service.KindInvalid, Reason: pipeline.ReasonUnknownField,
		Message: fmt.Sprintf("the request has %s, which this server does not know: headraced %s has contract revision %d, the client has %d; "+
			"upgrade headraced, or remove the field",
			strings.Join(each(unknown, contract.UnknownField.String), ", "), g.version, contract.Revision(), clientRevision(ctx)),
	}
}

// refuseClearing returns the check of an update that it clears nothing that its client does not
// know. A request that holds what a newer revision introduced shows that its client has
// that revision, whatever it says.
func refuseClearing[T any, Message proto.Message](
	ctx context.Context, request proto.Message, object string, toProto func(T) Message,
) service.Check[T] {
	revision := clientRevision(ctx)
	if revision < contract.Revision() {
		revision = max(revision, contract.Newest(request))
	}
	if revision >= contract.Revision() {
		return nil
	}
	return func(before, after T) error {
		cleared := contract.Cleared(toProto(before), toProto(after), revision)
		if len(cleared) == 0 {
			return nil
		}
		needed := contract.First
		for _, field := range cleared {
			needed = max(needed, field.Since)
		}
		names := each(cleared[:min(len(cleared), maxNamed)], contract.Field.String)
		return &service.Error{
			Kind: service.KindPrecondition, Reason: pipeline.ReasonClientTooOld,
			Message: fmt.Sprintf("this update would clear %s of %s, which this client (contract revision %d) does not know; "+
				"upgrade the client to contract revision %d or later, or use such a client to remove %s first",
				strings.Join(names, ", "), object, revision, needed, cleared[0].Name()),
		}
	}
}
