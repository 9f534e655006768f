package contract_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// TestEveryNewerFieldIsKept sets each newer field of what users declare, alone and
// wherever it is, and clears it as a client of the revision before does.
func TestEveryNewerFieldIsKept(t *testing.T) {
	t.Parallel()
	for _, object := range []proto.Message{
		&headracev1.Pipeline{}, &headracev1.PipelineStage{}, &headracev1.PipelineAction{}, &headracev1.ApprovalRule{}, &headracev1.Account{},
		&headracev1.Connection{},
	} {
		newer := newerPaths(object.ProtoReflect().Descriptor(), nil)
		for _, path := range newer {
			leaf := path[len(path)-1]
			before := object.ProtoReflect().New()
			parent := descend(before, path)
			after := proto.Clone(before.Interface())
			parent.Set(leaf, something(parent, leaf))
			since := contract.Since(leaf)

			cleared := contract.Cleared(before.Interface(), after, since-1)
			require.Len(t, cleared, 1, "%s", leaf.FullName())
			require.Equal(t, string(leaf.Name()), cleared[0].Name())
			require.Equal(t, since, cleared[0].Since)
			require.Equal(t, cleared, contract.Newer(before.Interface(), since-1), "a client names the same to an older server")
			require.Empty(t, contract.Cleared(before.Interface(), after, since), "%s: a client that has it may clear it", leaf.FullName())
			require.Empty(t, contract.Cleared(before.Interface(), proto.Clone(before.Interface()), contract.First))
			require.Equal(t, since, contract.Newest(before.Interface()))
		}
	}
}

// newerPaths returns the ways to the fields below a message that are newer than the first
// revision, without those below one of them.
func newerPaths(m protoreflect.MessageDescriptor, at []protoreflect.FieldDescriptor) (paths [][]protoreflect.FieldDescriptor) {
	for i := range m.Fields().Len() {
		field := m.Fields().Get(i)
		here := slices.Concat(at, []protoreflect.FieldDescriptor{field})
		switch {
		case contract.Since(field) > contract.First:
			paths = append(paths, here)
		case field.Message() != nil && !field.IsMap():
			paths = append(paths, newerPaths(field.Message(), here)...)
		}
	}
	return paths
}

// descend makes the messages on the way to the end of a path and returns the last one.
func descend(m protoreflect.Message, path []protoreflect.FieldDescriptor) protoreflect.Message {
	for _, field := range path[:len(path)-1] {
		if !field.IsList() {
			m = m.Mutable(field).Message()
			continue
		}
		m = m.Mutable(field).List().AppendMutable().Message()
		if name := m.Descriptor().Fields().ByName("name"); name != nil {
			m.Set(name, protoreflect.ValueOfString("Part"))
		}
	}
	return m
}

// something returns a value of a field that says more than none.
func something(parent protoreflect.Message, field protoreflect.FieldDescriptor) protoreflect.Value {
	switch {
	case field.IsList():
		list := parent.NewField(field)
		if field.Message() != nil {
			list.List().AppendMutable()
		} else {
			list.List().Append(protoreflect.ValueOfString("x"))
		}
		return list
	case field.Message() != nil:
		return parent.NewField(field)
	case field.Enum() != nil:
		return protoreflect.ValueOfEnum(field.Enum().Values().Get(field.Enum().Values().Len() - 1).Number())
	case field.Kind() == protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case field.Kind() == protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(1)
	default:
		return protoreflect.ValueOfString("x")
	}
}
