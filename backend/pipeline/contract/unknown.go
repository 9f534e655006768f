package contract

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// UnknownField is a field in a message that the contract of this program does not have.
type UnknownField struct {
	// Path leads to the message that holds it; it is empty for the outermost.
	Path string
	// Message is the name of that message.
	Message protoreflect.Name
	Number  protowire.Number
}

// String returns the field in words.
func (s UnknownField) String() string {
	text := fmt.Sprintf("field %d of %s", s.Number, s.Message)
	if s.Path != "" {
		text += " (" + s.Path + ")"
	}
	return text
}

// Unknown returns fields of a message, at any depth, that the contract does not have: at
// most limit of them, each number of a message once.
func Unknown(m proto.Message, limit int) []UnknownField {
	if !hasUnknown(m.ProtoReflect()) {
		return nil
	}
	var found []UnknownField
	unknown(m.ProtoReflect(), place{}, func(s UnknownField) bool {
		if len(found) < limit {
			found = append(found, s)
		}
		return len(found) < limit
	})
	return found
}

// hasUnknown looks without keeping where it is: nearly all messages have none.
func hasUnknown(m protoreflect.Message) bool {
	found := len(m.GetUnknown()) > 0
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if holdsMessages(field.MapValue()) {
				value.Map().Range(func(_ protoreflect.MapKey, entry protoreflect.Value) bool {
					found = found || hasUnknown(entry.Message())
					return !found
				})
			}
		case !holdsMessages(field):
		case field.IsList():
			for i := 0; i < value.List().Len() && !found; i++ {
				found = hasUnknown(value.List().Get(i).Message())
			}
		default:
			found = found || hasUnknown(value.Message())
		}
		return !found
	})
	return found
}

func unknown(m protoreflect.Message, at place, found func(UnknownField) bool) bool {
	goOn := true
	seen := make(map[protowire.Number]bool)
	for rest := m.GetUnknown(); len(rest) > 0 && goOn; {
		number, _, n := protowire.ConsumeField(rest)
		if n < 0 {
			break
		}
		rest = rest[n:]
		if !seen[number] {
			seen[number] = true
			goOn = found(UnknownField{Path: at.path.String(), Message: m.Descriptor().Name(), Number: number})
		}
	}
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		each(field, value, at, func(below place, value protoreflect.Value) {
			if inner, ok := value.Interface().(protoreflect.Message); ok && goOn {
				goOn = unknown(inner, below, found)
			}
		})
		return goOn
	})
	return goOn
}
