// Package contract reads what the contract's options say. Of its revisions: which one this
// program was built with, what a message holds that a peer of an older revision does not
// know, and what a write by an older client would clear. Of its methods: what their callers
// need and what they change. It must never send, store or log anything.
package contract

import (
	"strings"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// Header is the metadata of a call that holds the revision of the client. A call without
// it comes from a client of the first revision.
const Header = "headrace-contract-revision"

// First is the revision of what has no option, and of peers that report none.
const First uint32 = 1

// Revision returns the revision that this program was built with: the highest in the
// contract's descriptors.
func Revision() uint32 { return revision() }

//nolint:gochecknoglobals // Descriptors never change, and every call asks.
var revision = sync.OnceValue(func() uint32 {
	newest := First
	Range(func(_ protoreflect.Descriptor, since uint32) { newest = max(newest, since) })
	return newest
})

// Range calls visit for every field and enum value of the contract, with its revision. The
// options are not among them: they are never sent.
func Range(visit func(d protoreflect.Descriptor, since uint32)) {
	protoregistry.GlobalFiles.RangeFilesByPackage(packageName(), func(file protoreflect.FileDescriptor) bool {
		if file.Path() != headracev1.File_headrace_v1_options_proto.Path() {
			rangeMessages(file.Messages(), visit)
			rangeEnums(file.Enums(), visit)
		}
		return true
	})
}

func rangeMessages(messages protoreflect.MessageDescriptors, visit func(protoreflect.Descriptor, uint32)) {
	for i := range messages.Len() {
		m := messages.Get(i)
		if m.IsMapEntry() {
			continue
		}
		for j := range m.Fields().Len() {
			visit(m.Fields().Get(j), Since(m.Fields().Get(j)))
		}
		rangeMessages(m.Messages(), visit)
		rangeEnums(m.Enums(), visit)
	}
}

func rangeEnums(enums protoreflect.EnumDescriptors, visit func(protoreflect.Descriptor, uint32)) {
	for i := range enums.Len() {
		for j := range enums.Get(i).Values().Len() {
			value := enums.Get(i).Values().Get(j)
			visit(value, valueSince(value))
		}
	}
}

// Holds reports whether a message belongs to the contract.
func Holds(m proto.Message) bool {
	return m.ProtoReflect().Descriptor().ParentFile().Package() == packageName()
}

func packageName() protoreflect.FullName { return headracev1.File_headrace_v1_pipeline_proto.Package() }

// Since returns the revision that introduced a field.
func Since(field protoreflect.FieldDescriptor) uint32 {
	return revisionOf(field.Options(), headracev1.E_Since)
}

func valueSince(value protoreflect.EnumValueDescriptor) uint32 {
	return revisionOf(value.Options(), headracev1.E_ValueSince)
}

func revisionOf(options proto.Message, option protoreflect.ExtensionType) uint32 {
	since, _ := proto.GetExtension(options, option).(uint32)
	return max(First, since)
}

// RevisionOf returns the revision that a server was built with. Servers that are older
// than revisions report none; their capabilities tell the second from the first.
func RevisionOf(server *headracev1.GetServerInfoResponse) uint32 {
	if reported := server.GetContractRevision(); reported > 0 {
		return reported
	}
	for _, capability := range server.GetCapabilities() {
		if capability == "retention" {
			return 2
		}
	}
	return First
}

// Newest returns the highest revision of what a message holds. Its sender has that
// revision at least.
func Newest(m proto.Message) uint32 {
	newest := First
	visit(m.ProtoReflect(), func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		newest = max(newest, Since(field))
		if enum := enumValue(field, value); enum != nil {
			newest = max(newest, valueSince(enum))
		}
		return true
	})
	return newest
}

// visit calls fn for every field that is set in a message, at any depth, and for every
// element of a list and message of a map, until fn returns false. The order is not defined.
func visit(m protoreflect.Message, fn func(protoreflect.FieldDescriptor, protoreflect.Value) bool) bool {
	goOn := true
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			goOn = fn(field, value)
			if holdsMessages(field.MapValue()) {
				value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
					goOn = goOn && fn(field, entry) && visit(entry.Message(), fn)
					return goOn
				})
			}
		case field.IsList():
			list := value.List()
			for i := 0; i < list.Len() && goOn; i++ {
				goOn = fn(field, list.Get(i)) && (!holdsMessages(field) || visit(list.Get(i).Message(), fn))
			}
		default:
			goOn = fn(field, value) && (!holdsMessages(field) || visit(value.Message(), fn))
		}
		return goOn
	})
	return goOn
}

func holdsMessages(field protoreflect.FieldDescriptor) bool { return field.Message() != nil }

// enumValue returns what the contract says of the value of an enum field or element; nil
// if it is another field, or a number that the contract does not have.
func enumValue(field protoreflect.FieldDescriptor, value protoreflect.Value) protoreflect.EnumValueDescriptor {
	if field.Enum() == nil || field.IsMap() {
		return nil
	}
	number, ok := value.Interface().(protoreflect.EnumNumber)
	if !ok {
		return nil
	}
	return field.Enum().Values().ByNumber(number)
}

// means tells whether the value of a field says more than a field that is not set.
func means(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
	enum := enumValue(field, value)
	if enum == nil {
		return true
	}
	isDefault, _ := proto.GetExtension(enum.Options(), headracev1.E_DefaultValue).(bool)
	return !isDefault
}

// set tells whether a field of a message says more than one that is not set.
func set(m protoreflect.Message, field protoreflect.FieldDescriptor) bool {
	return m.Has(field) && means(field, m.Get(field))
}

// word returns the name of an enum value as people write it: SUPERSEDE of
// NEWER_EXECUTION_SUPERSEDE.
func word(value protoreflect.EnumValueDescriptor) string {
	zero := string(value.Parent().(protoreflect.EnumDescriptor).Values().Get(0).Name()) //nolint:forcetypeassert // The parent of a value is its enum.
	return strings.TrimPrefix(string(value.Name()), strings.TrimSuffix(zero, "UNSPECIFIED"))
}
