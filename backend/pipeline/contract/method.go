package contract

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// AllAccounts is the account of methods whose callers need the permission in all accounts.
const AllAccounts = "*"

// Method is a method of the contract with the facts that its options declare.
type Method struct {
	protoreflect.MethodDescriptor
	Permission headracev1.Permission
	// Account is AllAccounts, the path of a field of the request, or empty if the permission
	// in any account is enough.
	Account string
	Effect  headracev1.Effect

	// path is Account as fields, nil if it is not the path of a field.
	path []protoreflect.FieldDescriptor
}

// Methods returns the methods of the contract, sorted by their full name.
func Methods() []Method {
	var all []Method
	protoregistry.GlobalFiles.RangeFilesByPackage(packageName(), func(file protoreflect.FileDescriptor) bool {
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				all = append(all, methodOf(methods.Get(j)))
			}
		}
		return true
	})
	slices.SortFunc(all, func(a, b Method) int { return strings.Compare(a.Path(), b.Path()) })
	return all
}

func methodOf(d protoreflect.MethodDescriptor) Method {
	m := Method{MethodDescriptor: d}
	m.Permission, _ = proto.GetExtension(d.Options(), headracev1.E_Permission).(headracev1.Permission)
	m.Account, _ = proto.GetExtension(d.Options(), headracev1.E_Account).(string)
	m.Effect, _ = proto.GetExtension(d.Options(), headracev1.E_Effect).(headracev1.Effect)
	m.path = fieldsAt(d.Input(), m.Account)
	return m
}

// fieldsAt returns the fields on a path that ends with a text, nil if there is none.
func fieldsAt(message protoreflect.MessageDescriptor, path string) (fields []protoreflect.FieldDescriptor) {
	for name := range strings.SplitSeq(path, ".") {
		if message == nil {
			return nil
		}
		field := message.Fields().ByName(protoreflect.Name(name))
		if field == nil || field.IsMap() {
			return nil
		}
		fields, message = append(fields, field), field.Message()
	}
	if fields[len(fields)-1].Kind() != protoreflect.StringKind {
		return nil
	}
	return fields
}

// Path returns the name that gRPC calls the method by: /headrace.v1.PipelineService/GetPipeline.
func (m Method) Path() string {
	return "/" + string(m.Parent().FullName()) + "/" + string(m.Name())
}

// Streams tells whether the method answers with a stream.
func (m Method) Streams() bool { return m.IsStreamingServer() }

// Reads tells whether the method changes nothing.
func (m Method) Reads() bool { return m.Effect == headracev1.Effect_EFFECT_READ }

// Repeatable tells whether a client may send a request again if it does not know what
// became of the first one. A stream is not: its reader knows how far it came.
func (m Method) Repeatable() bool { return !m.Streams() && (m.Reads() || m.RequestID() != nil) }

// RequestID returns the field that makes a second call return the response of the first,
// nil if the method has none.
func (m Method) RequestID() protoreflect.FieldDescriptor {
	if m.Effect != headracev1.Effect_EFFECT_WRITE_ONCE {
		return nil
	}
	return m.Input().Fields().ByName("request_id")
}

// Accounts returns the accounts in which the caller of a method with an Account needs the
// permission. It leaves out a text that is not the name of an account or of an object in
// one, which the method itself refuses.
func (m Method) Accounts(request proto.Message) []string {
	if m.path == nil {
		// A path that is not one of the request closes the method to everybody else.
		return []string{AllAccounts}
	}
	var accounts []string
	textsAt(request.ProtoReflect(), m.path, func(text string) {
		if m.path[len(m.path)-1].Name() != "account" {
			after, isName := strings.CutPrefix(text, "accounts/")
			text, _, _ = strings.Cut(after, "/")
			if !isName {
				return
			}
		}
		accounts = append(accounts, text)
	})
	return accounts
}

// textsAt calls visit with every text at the end of a path.
func textsAt(m protoreflect.Message, path []protoreflect.FieldDescriptor, visit func(string)) {
	field, rest := path[0], path[1:]
	value := m.Get(field)
	below := func(value protoreflect.Value) {
		if len(rest) == 0 {
			visit(value.String())
		} else {
			textsAt(value.Message(), rest, visit)
		}
	}
	if !field.IsList() {
		below(value)
		return
	}
	for i := range value.List().Len() {
		below(value.List().Get(i))
	}
}
