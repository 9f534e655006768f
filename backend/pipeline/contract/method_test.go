package contract_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// TestEveryMethodDeclaresItsFacts makes whoever adds a method say who may call it and what
// it does.
func TestEveryMethodDeclaresItsFacts(t *testing.T) {
	t.Parallel()
	for _, m := range contract.Methods() {
		assert.NotZero(t, m.Permission, "%s: add option (permission) = PERMISSION_…; to the rpc in its proto: what its caller needs", m.Path())
		assert.NotZero(t, m.Effect,
			"%s: add option (effect) = EFFECT_READ, EFFECT_WRITE or, with a request_id, EFFECT_WRITE_ONCE; to the rpc in its proto", m.Path())
		carries := m.Input().Fields().ByName("request_id")
		once := m.Effect == v1.Effect_EFFECT_WRITE_ONCE
		assert.Equal(t, once, carries != nil, "%s: a method has the effect WRITE_ONCE if and only if its request has a request_id", m.Path())
		if once && carries != nil {
			assert.Equal(t, protoreflect.StringKind, carries.Kind(), "%s", m.Path())
			assert.False(t, m.Streams(), "%s: a stream is not sent again, so it cannot be WRITE_ONCE", m.Path())
		}
		switch m.Permission {
		case v1.Permission_PERMISSION_OPEN, v1.Permission_PERMISSION_AUTHENTICATED:
			assert.Empty(t, m.Account, "%s: remove option (account): the permission is not one in an account", m.Path())
		case v1.Permission_PERMISSION_ADMINISTER:
		default:
			assert.NotEmpty(t, m.Account, `%s: add option (account) = "…"; to the rpc in its proto: the field of the request that names the account`, m.Path())
		}
		if m.Account != "" && m.Account != contract.AllAccounts {
			// Nobody but an admin of all accounts may call a method whose path is wrong.
			assert.NotEqual(t, []string{contract.AllAccounts}, m.Accounts(dynamicpb.NewMessage(m.Input())), "%s: (account) = %q is not the path of a text in its request", m.Path(), m.Account)
		}
		assert.False(t, m.IsStreamingClient(), "%s: the gate authorizes one request a call", m.Path())
	}
}

func TestAccountsOfRequests(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		request proto.Message
		want    []string
	}{
		"GetAccount":     {&v1.GetAccountRequest{Name: "accounts/dev"}, []string{"dev"}},
		"GetStage":       {&v1.GetStageRequest{Name: "accounts/dev/pipelines/web/stages/Build"}, []string{"dev"}},
		"CreatePipeline": {&v1.CreatePipelineRequest{Pipeline: &v1.Pipeline{Name: "accounts/dev/pipelines/web"}}, []string{"dev"}},
		"UpdatePipeline": {&v1.UpdatePipelineRequest{}, nil},
		"GetPipeline":    {&v1.GetPipelineRequest{Name: "web"}, nil},
		"CreateToken": {
			&v1.CreateTokenRequest{Token: &v1.Token{Bindings: []*v1.RoleBinding{{Account: "dev"}, {Account: "*"}}}},
			[]string{"dev", contract.AllAccounts},
		},
		"CreateAccount": {&v1.CreateAccountRequest{Account: &v1.Account{Name: "accounts/new"}}, []string{contract.AllAccounts}},
	}
	found := 0
	for _, m := range contract.Methods() {
		if test, ok := tests[string(m.Name())]; ok {
			found++
			require.Equal(t, test.want, m.Accounts(test.request), "%s", m.Name())
		}
	}
	require.Len(t, tests, found)
}
