package rpc_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// sampler makes a request for any method of the contract from the rules in its proto.
type sampler struct {
	// names are of an object of each kind in one account, the account first.
	names []string
}

// samplesOf returns names in an account whose pipeline has that execution.
func samplesOf(account, pipeline, execution string) sampler {
	in := "accounts/" + account
	of := in + "/pipelines/" + pipeline
	return sampler{names: []string{
		in, of, of + "/versions/1", of + "/stages/Build", of + "/stages/Build/actions/Compile",
		of + "/executions/" + execution, in + "/approvalRules/" + pipeline, in + "/connections/" + pipeline, in + "/secrets/" + pipeline, "tokens/" + pipeline,
		in + "/triggers/" + pipeline, of + "/triggers/Fetch", in + "/webhooks/" + pipeline, in + "/webhooks/" + pipeline + "/deliveries/1",
	}}
}

// requests returns requests of a method that keep the rules of the contract, one for each
// name that its account could be the start of. All but one name may be of another kind than
// the method takes.
func (s sampler) requests(t *testing.T, m contract.Method) []proto.Message {
	t.Helper()
	path := m.Account
	if path == "" {
		path = "name"
	}
	var requests []proto.Message
	for _, name := range s.names {
		request := dynamicpb.NewMessage(m.Input())
		s.fill(t, request, strings.Split(path, "."), name)
		if !slices.ContainsFunc(requests, func(other proto.Message) bool { return proto.Equal(request, other) }) {
			requests = append(requests, request)
		}
	}
	require.NotEmpty(t, requests)
	return requests
}

// fill sets the fields that the rules require, and the name at the path.
func (s sampler) fill(t *testing.T, m protoreflect.Message, path []string, name string) {
	t.Helper()
	for i := range m.Descriptor().Fields().Len() {
		field := m.Descriptor().Fields().Get(i)
		rules, _ := proto.GetExtension(field.Options(), validate.E_Field).(*validate.FieldRules)
		var below []string
		onPath := string(field.Name()) == path[0]
		if onPath {
			below = path[1:]
		}
		switch {
		case field.IsMap():
		case field.IsList():
			if onPath || rules.GetRepeated().GetMinItems() > 0 {
				list := m.Mutable(field).List()
				if field.Message() == nil {
					list.Append(s.value(t, field, rules.GetRepeated().GetItems(), "x"))
				} else {
					s.fill(t, list.AppendMutable().Message(), append(below, ""), name)
				}
			}
		case field.Message() != nil:
			if onPath || rules.GetRequired() || firstOfRequired(field) {
				s.fill(t, m.Mutable(field).Message(), append(below, ""), name)
			}
		case onPath:
			m.Set(field, s.value(t, field, rules, name))
		case field.Name() == "pipeline" && rules.GetString().GetMinLen() > 0:
			m.Set(field, protoreflect.ValueOfString(s.names[1]))
		case field.Name() == "validate_only":
			m.Set(field, protoreflect.ValueOfBool(true))
		case field.Name() == "target_execution":
			m.Set(field, protoreflect.ValueOfString(s.named("/executions/")))
		case field.Kind() == protoreflect.StringKind && (rules.GetString().GetMinLen() > 0 || rules.GetString().HasPattern() || len(rules.GetCel()) > 0):
			m.Set(field, s.value(t, field, rules, "x"))
		case field.Enum() != nil && slices.Contains(rules.GetEnum().GetNotIn(), 0):
			m.Set(field, protoreflect.ValueOfEnum(1))
		case rules.GetInt32().GetGte() > 0:
			m.Set(field, protoreflect.ValueOfInt32(rules.GetInt32().GetGte()))
		case rules.GetInt64().HasGt():
			m.Set(field, protoreflect.ValueOfInt64(rules.GetInt64().GetGt()+1))
		}
	}
	if mask := m.Descriptor().Fields().ByName("paths"); m.Descriptor().FullName() == "google.protobuf.FieldMask" {
		m.Mutable(mask).List().Append(protoreflect.ValueOfString("*"))
	}
}

// firstOfRequired tells whether a field is the first of several of which one is required.
func firstOfRequired(field protoreflect.FieldDescriptor) bool {
	oneof := field.ContainingOneof()
	if oneof == nil || oneof.Fields().Get(0) != field {
		return false
	}
	rules, _ := proto.GetExtension(oneof.Options(), validate.E_Oneof).(*validate.OneofRules)
	return rules.GetRequired()
}

// value returns a text that keeps the rules: the given one, or the first name that does.
func (s sampler) value(t *testing.T, field protoreflect.FieldDescriptor, rules *validate.FieldRules, text string) protoreflect.Value {
	t.Helper()
	if field.Name() == "account" {
		text = strings.TrimPrefix(s.names[0], "accounts/")
	}
	if rules.GetString().HasPattern() {
		pattern := regexp.MustCompile(rules.GetString().GetPattern())
		texts := append([]string{text}, s.names...)
		i := slices.IndexFunc(texts, pattern.MatchString)
		require.GreaterOrEqual(t, i, 0, "%s: none of the names of the sampler matches its pattern: add one of its kind", field.FullName())
		text = texts[i]
	}
	return protoreflect.ValueOfString(text)
}

func (s sampler) named(part string) string {
	return s.names[slices.IndexFunc(s.names, func(name string) bool { return strings.Contains(name, part) })]
}

// rolesWith returns the roles that have a permission in an account.
func rolesWith(permission v1.Permission) []v1.Role {
	switch permission {
	case v1.Permission_PERMISSION_AUTHENTICATED, v1.Permission_PERMISSION_READ_ACCOUNT:
		return []v1.Role{viewer, approver, deployer, admin, runner}
	case v1.Permission_PERMISSION_READ:
		return []v1.Role{viewer, approver, deployer, admin}
	case v1.Permission_PERMISSION_DEPLOY:
		return []v1.Role{deployer, admin}
	case v1.Permission_PERMISSION_APPROVE:
		return []v1.Role{approver, admin}
	case v1.Permission_PERMISSION_ADMINISTER:
		return []v1.Role{admin}
	default:
		return nil
	}
}

// allows tells whether a caller whose only role is in one account may call a method about
// an object of it. A stranger is an admin of another account.
func allows(m contract.Method, role v1.Role) bool {
	everybody := m.Permission == v1.Permission_PERMISSION_OPEN || m.Permission == v1.Permission_PERMISSION_AUTHENTICATED
	switch {
	case everybody || m.Account == contract.AllAccounts:
		return everybody
	case role == stranger:
		return m.Account == "" && slices.Contains(rolesWith(m.Permission), admin)
	default:
		return slices.Contains(rolesWith(m.Permission), role)
	}
}
