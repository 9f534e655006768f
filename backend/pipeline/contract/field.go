package contract

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Field is a field, or a value of one, that one of two peers does not know.
type Field struct {
	// Path leads to it from the message that was looked at.
	Path pipeline.Path
	// Since is the revision that introduced it.
	Since uint32
	// Value is the value that is not known; empty if the field is not.
	Value string
	// within holds the element that each step of the path leads into, by name.
	within []string
}

// Name returns the field as people write it: on_update, or newer_execution = SUPERSEDE.
func (f Field) Name() string {
	name := f.Path[len(f.Path)-1].Field
	if f.Value != "" {
		name += " = " + f.Value
	}
	return name
}

// String returns the field with the parts that it is in, the innermost first:
// on_rollback of stage "Deploy".
func (f Field) String() string {
	text := f.Name()
	for i := len(f.Path) - 2; i >= 0; i-- {
		switch step := f.Path[i]; {
		case f.within[i] != "":
			text += fmt.Sprintf(" of %s %q", singular(step.Field), f.within[i])
		case step.HasKey:
			text += fmt.Sprintf(" of %s[%q]", step.Field, step.Key)
		case step.Index >= 0:
			text += " of " + step.Field + "[" + strconv.Itoa(step.Index) + "]"
		case slices.Contains(wrappers(), step.Field):
		default:
			text += " of " + step.Field
		}
	}
	return text
}

// wrappers are the fields that hold what users declare, and that they never write.
func wrappers() []string {
	return []string{"pipeline", "definition", "stage", "action", "approval_rule", "selector", "account", "settings"}
}

// singular returns the word for one element of a list: stage of stages.
func singular(list string) string {
	return strings.ReplaceAll(strings.TrimSuffix(list, "s"), "_", " ")
}

// place is a message on the way down, and how it was reached.
type place struct {
	path   pipeline.Path
	within []string
}

func (p place) field(name protoreflect.Name) place {
	return place{p.path.Field(string(name)), append(p.within[:len(p.within):len(p.within)], "")}
}

func (p place) element(name protoreflect.Name, index int, element protoreflect.Value) place {
	return place{p.path.At(string(name), index), append(p.within[:len(p.within):len(p.within)], nameOf(element))}
}

func (p place) entry(name protoreflect.Name, key protoreflect.MapKey) place {
	return place{p.path.Entry(string(name), key.String()), append(p.within[:len(p.within):len(p.within)], "")}
}

func (p place) found(since uint32, value string) Field {
	return Field{Path: p.path, Since: since, Value: value, within: p.within}
}

// nameOf returns the name of an element of a list, empty if it has none.
func nameOf(element protoreflect.Value) string {
	m, ok := element.Interface().(protoreflect.Message)
	if !ok {
		return ""
	}
	field := m.Descriptor().Fields().ByName("name")
	if field == nil || field.Kind() != protoreflect.StringKind || field.IsList() {
		return ""
	}
	return m.Get(field).String()
}

// Newer returns the fields that are set in a message and that a peer of that revision
// does not know, in the contract's order. What means nothing to such a peer is left out:
// values that are the default, values that Terraform does not know yet, and fields that
// may be ignored. Of a field that is newer, what is below it is not looked at.
func Newer(m proto.Message, revision uint32) []Field {
	var found []Field
	newer(m.ProtoReflect(), place{}, revision, func(f Field) { found = append(found, f) })
	return found
}

func newer(m protoreflect.Message, at place, revision uint32, found func(Field)) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !set(m, field) || ignorable(field) || undecided(field, m.Get(field)) {
			continue
		}
		if since := Since(field); since > revision {
			found(at.field(field.Name()).found(since, ""))
			continue
		}
		each(field, m.Get(field), at, func(below place, value protoreflect.Value) {
			if enum := enumValue(field, value); enum != nil && valueSince(enum) > revision {
				found(below.found(valueSince(enum), word(enum)))
			}
			if inner, ok := value.Interface().(protoreflect.Message); ok {
				newer(inner, below, revision, found)
			}
		})
	}
}

// each calls fn for the value of a field, or for each of its elements or entries.
func each(field protoreflect.FieldDescriptor, value protoreflect.Value, at place, fn func(place, protoreflect.Value)) {
	switch {
	case field.IsMap():
		value.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
			fn(at.entry(field.Name(), key), entry)
			return true
		})
	case field.IsList():
		for i := range value.List().Len() {
			fn(at.element(field.Name(), i, value.List().Get(i)), value.List().Get(i))
		}
	default:
		fn(at.field(field.Name()), value)
	}
}

func ignorable(field protoreflect.FieldDescriptor) bool {
	may, _ := proto.GetExtension(field.Options(), headracev1.E_Ignorable).(bool)
	return may
}

// undecided tells whether a field holds what stands for a value that Terraform does not
// know yet: a text, or the number of no value of an enum.
func undecided(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
	switch {
	case field.IsList() || field.IsMap():
		return false
	case field.Enum() != nil:
		return enumValue(field, value) == nil
	default:
		return field.Kind() == protoreflect.StringKind && value.String() == pipeline.Unknown
	}
}

// Downgrade returns the message without the fields that a peer of that revision does not
// know and that Newer leaves out, since an older server refuses every field that it does
// not know. It returns the message itself if it has none.
func Downgrade(m proto.Message, revision uint32) proto.Message {
	found := !visit(m.ProtoReflect(), func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		return !dispensable(field, value, revision)
	})
	if !found {
		return m
	}
	reduced := proto.Clone(m)
	strip(reduced.ProtoReflect(), revision)
	return reduced
}

func strip(m protoreflect.Message, revision uint32) {
	m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if dispensable(field, value, revision) {
			m.Clear(field)
			return true
		}
		each(field, value, place{}, func(_ place, value protoreflect.Value) {
			if inner, ok := value.Interface().(protoreflect.Message); ok {
				strip(inner, revision)
			}
		})
		return true
	})
}

func dispensable(field protoreflect.FieldDescriptor, value protoreflect.Value, revision uint32) bool {
	return Since(field) > revision && (ignorable(field) || !field.IsList() && !means(field, value))
}

// NewCall reports whether a request belongs to a method that a peer of that revision does
// not have: all that a request can hold is newer.
func NewCall(request protoreflect.MessageDescriptor, revision uint32) bool {
	for i := range request.Fields().Len() {
		if Since(request.Fields().Get(i)) <= revision {
			return false
		}
	}
	return request.Fields().Len() > 0
}
