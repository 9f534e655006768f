package contract

import (
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Cleared returns what a write clears without its author's knowledge: the fields of the
// object before the write that a client of that revision does not know, and that the
// object after it does not have. Elements of lists are compared by name, or by place if
// they have none. An element or a message that the client knows and removes is its own
// business, unless it may have been renamed: then the newer fields in it are lost too.
//
// Both messages are the object as the server stores it; output-only fields must be equal
// or absent in both.
func Cleared(before, after proto.Message, revision uint32) []Field {
	var found []Field
	cleared(before.ProtoReflect(), after.ProtoReflect(), place{}, revision, func(f Field) { found = append(found, f) })
	return found
}

func cleared(before, after protoreflect.Message, at place, revision uint32, found func(Field)) {
	fields := before.Descriptor().Fields()
	for i := range fields.Len() {
		field := fields.Get(i)
		if !set(before, field) {
			continue
		}
		if since := Since(field); since > revision && !set(after, field) {
			found(at.field(field.Name()).found(since, ""))
			continue
		}
		switch was, is := before.Get(field), after.Get(field); {
		case field.IsMap():
			clearedInMap(field, was.Map(), is.Map(), at, revision, found)
		case field.IsList() && !holdsMessages(field):
			clearedValues(field, was.List(), is.List(), at, revision, found)
		case field.IsList():
			clearedInList(field, was.List(), is.List(), at, revision, found)
		case holdsMessages(field):
			if after.Has(field) {
				cleared(was.Message(), is.Message(), at.field(field.Name()), revision, found)
			}
		case !was.Equal(is):
			if enum := enumValue(field, was); enum != nil && valueSince(enum) > revision {
				found(at.field(field.Name()).found(valueSince(enum), word(enum)))
			}
		}
	}
}

func clearedInMap(field protoreflect.FieldDescriptor, before, after protoreflect.Map, at place, revision uint32, found func(Field)) {
	if !holdsMessages(field.MapValue()) {
		return
	}
	before.Range(func(key protoreflect.MapKey, was protoreflect.Value) bool {
		if after.Has(key) {
			cleared(was.Message(), after.Get(key).Message(), at.entry(field.Name(), key), revision, found)
		}
		return true
	})
}

// clearedValues finds values of a list of enums that are newer than the client.
func clearedValues(field protoreflect.FieldDescriptor, before, after protoreflect.List, at place, revision uint32, found func(Field)) {
	for i := range before.Len() {
		enum := enumValue(field, before.Get(i))
		if enum == nil || valueSince(enum) <= revision {
			continue
		}
		kept := false
		for j := range after.Len() {
			kept = kept || after.Get(j).Equal(before.Get(i))
		}
		if !kept {
			found(at.element(field.Name(), i, before.Get(i)).found(valueSince(enum), word(enum)))
		}
	}
}

func clearedInList(field protoreflect.FieldDescriptor, before, after protoreflect.List, at place, revision uint32, found func(Field)) {
	partner := partners(before, after)
	added := after.Len()
	for _, j := range partner {
		if j >= 0 {
			added--
		}
	}
	for i := range before.Len() {
		was := before.Get(i)
		switch j := partner[i]; {
		case j >= 0:
			cleared(was.Message(), after.Get(j).Message(), at.element(field.Name(), j, was), revision, found)
		case added > 0:
			newer(was.Message(), at.element(field.Name(), i, was), revision, found)
		}
	}
}

// partners returns, for each element of a list, the place of the same element after the
// write, -1 if it has none.
func partners(before, after protoreflect.List) []int {
	byName := make(map[string]int)
	for j := range after.Len() {
		if name := nameOf(after.Get(j)); name != "" {
			if _, taken := byName[name]; !taken {
				byName[name] = j
			}
		}
	}
	partner := make([]int, before.Len())
	for i := range before.Len() {
		name := nameOf(before.Get(i))
		j, found := byName[name]
		switch {
		case found:
			delete(byName, name)
			partner[i] = j
		case name == "" && i < after.Len() && nameOf(after.Get(i)) == "":
			partner[i] = i
		default:
			partner[i] = -1
		}
	}
	return partner
}
