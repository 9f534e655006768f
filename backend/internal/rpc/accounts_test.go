package rpc_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/headrace/terraform-provider-headrace/backend/backendtest"
	"github.com/headrace/terraform-provider-headrace/backend/client"
	v1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestTokenTellsWhoItsHolderIs(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	secret := b.Token("ann", []string{"security"}, backendtest.Binding("default", approver))
	who, err := b.Client(secret).Server.WhoAmI(t.Context(), &v1.WhoAmIRequest{})
	require.NoError(t, err)
	require.True(t, proto.Equal(&v1.WhoAmIResponse{
		Principal: "ann", Groups: []string{"security"}, Bindings: []*v1.RoleBinding{backendtest.Binding("default", approver)},
	}, who))
}

func TestAdminOfAnAccountCannotReachBeyondIt(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("dev")
	b.Account("prod")
	b.Token("ops", nil, backendtest.Binding("prod", admin))
	b.Token("bridge", nil, backendtest.Binding("dev", viewer), backendtest.Binding("prod", viewer))
	c := b.Client(b.Token("lead", nil, backendtest.Binding("dev", admin)))
	mint := func(bindings ...*v1.RoleBinding) (*v1.CreateTokenResponse, error) {
		return c.Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{Token: &v1.Token{Principal: "x", Bindings: bindings}})
	}
	own, err := mint(backendtest.Binding("dev", deployer))
	require.NoError(t, err)
	for _, account := range []string{"prod", "*"} {
		_, err = mint(backendtest.Binding("dev", deployer), backendtest.Binding(account, viewer))
		refused(t, err, codes.PermissionDenied, pipeline.ReasonPermissionDenied)
	}
	_, err = c.Accounts.CreateAccount(t.Context(), &v1.CreateAccountRequest{Account: &v1.Account{Name: "accounts/more"}})
	refused(t, err, codes.PermissionDenied, pipeline.ReasonPermissionDenied, "all accounts")

	list, err := c.Accounts.ListTokens(t.Context(), &v1.ListTokensRequest{})
	require.NoError(t, err)
	var principals []string
	for _, token := range list.GetTokens() {
		principals = append(principals, token.GetPrincipal())
	}
	require.Equal(t, []string{"lead", "x"}, principals)

	all, err := b.Admin().Accounts.ListTokens(t.Context(), &v1.ListTokensRequest{})
	require.NoError(t, err)
	for _, token := range all.GetTokens() {
		if token.GetPrincipal() == "ops" || token.GetPrincipal() == "bridge" || token.GetPrincipal() == "admin" {
			_, err = c.Accounts.RevokeToken(t.Context(), &v1.RevokeTokenRequest{Name: token.GetName()})
			refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
		}
	}
	_, err = c.Accounts.RevokeToken(t.Context(), &v1.RevokeTokenRequest{Name: own.GetToken().GetName()})
	require.NoError(t, err)
}

func TestRevokedTokenEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	created, err := b.Admin().Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{
		Token: &v1.Token{Principal: "ann", Bindings: []*v1.RoleBinding{backendtest.Binding("*", viewer)}},
	})
	require.NoError(t, err)
	c := b.Client(created.GetSecret())
	_, err = c.Server.WhoAmI(t.Context(), &v1.WhoAmIRequest{})
	require.NoError(t, err)
	_, err = b.Admin().Accounts.RevokeToken(t.Context(), &v1.RevokeTokenRequest{Name: created.GetToken().GetName()})
	require.NoError(t, err)
	_, err = c.Server.WhoAmI(t.Context(), &v1.WhoAmIRequest{})
	refused(t, err, codes.Unauthenticated, pipeline.ReasonUnauthenticated, "revoked")
	require.NotContains(t, err.Error(), created.GetSecret())
}

func TestTokensAndAccountsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	c := backendtest.Start(t).Admin()
	mint := func(change func(*v1.Token)) error {
		token := &v1.Token{Principal: "ann", Bindings: []*v1.RoleBinding{backendtest.Binding("default", viewer)}}
		change(token)
		_, err := c.Accounts.CreateToken(t.Context(), &v1.CreateTokenRequest{Token: token})
		return err
	}
	require.Equal(t, []string{"token.principal"}, fields(mint(func(k *v1.Token) { k.Principal = "" })))
	require.ErrorContains(t, mint(func(k *v1.Token) { k.Groups = []string{"ops "} }), `token.groups[0]: "ops " is not a valid name: use 1 to 200 of`)
	require.Equal(t, []string{"token.bindings"}, fields(mint(func(k *v1.Token) { k.Bindings = nil })))
	require.Equal(t, []string{"token.bindings[0].role"}, fields(mint(func(k *v1.Token) { k.Bindings[0].Role = 0 })))
	require.Equal(t, []string{"token.expire_time"}, fields(mint(func(k *v1.Token) { k.ExpireTime = timestamppb.New(time.Now().Add(-time.Hour)) })))
	require.NoError(t, mint(func(k *v1.Token) { k.ExpireTime = timestamppb.New(time.Now().Add(time.Hour)) }))
	refused(t, mint(func(k *v1.Token) { k.Bindings[0].Account = "ghost" }), codes.NotFound, pipeline.ReasonNotFound, "headrace account create ghost")

	account := &v1.CreateAccountRequest{Account: &v1.Account{Name: "accounts/default"}}
	_, err := c.Accounts.CreateAccount(t.Context(), account)
	refused(t, err, codes.AlreadyExists, pipeline.ReasonAlreadyExists)
	_, err = c.Accounts.CreateAccount(t.Context(), &v1.CreateAccountRequest{Account: &v1.Account{Name: "default"}})
	require.Equal(t, []string{"account.name"}, fields(err))
	_, err = c.Accounts.RevokeToken(t.Context(), &v1.RevokeTokenRequest{Name: "tokens/ghost"})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestAccountsDoNotShareNames(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	b.Account("dev")
	b.Account("Dev")
	c := b.Admin()
	create(t, c, inline("dev", "web"))
	_, err := c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: client.PipelineName("Dev", "web")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
	_, err = c.Pipelines.GetPipeline(t.Context(), &v1.GetPipelineRequest{Name: client.PipelineName("dev", "Web")})
	refused(t, err, codes.NotFound, pipeline.ReasonNotFound)
}

func TestServerTellsWhatItIsToEverybody(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	info, err := b.Client("").Server.GetServerInfo(t.Context(), &v1.GetServerInfoRequest{})
	require.NoError(t, err)
	require.Equal(t, "test", info.GetVersion())
	require.Equal(t, "sqlite", info.GetStore())
	require.Contains(t, info.GetCapabilities(), "composed_pipelines")
	require.Contains(t, []string{"none", "bubblewrap"}, info.GetIsolation())
	_, err = b.Client("").Server.WhoAmI(t.Context(), &v1.WhoAmIRequest{})
	require.Equal(t, codes.Unauthenticated, status.Code(err))
}

func TestSettingsOfAnAccount(t *testing.T) {
	t.Parallel()
	b := backendtest.Start(t)
	lead := b.Client(b.Token("lead", nil, backendtest.Binding("default", admin)))
	get := func() bool {
		got, err := lead.Accounts.GetAccount(t.Context(), &v1.GetAccountRequest{Name: "accounts/default"})
		require.NoError(t, err)
		require.NotNil(t, got.GetAccount().GetCreateTime())
		return got.GetAccount().GetSettings().GetRequireApprovalRule()
	}
	set := func(required bool, paths ...string) error {
		_, err := lead.Accounts.UpdateAccount(t.Context(), &v1.UpdateAccountRequest{
			Account:    &v1.Account{Name: "accounts/default", Settings: &v1.AccountSettings{RequireApprovalRule: required}},
			UpdateMask: &fieldmaskpb.FieldMask{Paths: paths},
		})
		return err
	}
	require.False(t, get())
	for _, paths := range [][]string{{"settings.require_approval_rule"}, {"*"}, {"settings"}} {
		require.NoError(t, set(true, paths...))
		require.True(t, get())
		require.NoError(t, set(false, paths...))
		require.False(t, get())
	}
	require.NoError(t, set(true, "*"))
	list, err := lead.Accounts.ListAccounts(t.Context(), &v1.ListAccountsRequest{})
	require.NoError(t, err)
	require.True(t, list.GetAccounts()[0].GetSettings().GetRequireApprovalRule())

	require.ErrorContains(t, set(false, "settings.moon"), `"settings.moon" cannot be updated`)
	require.ErrorContains(t, set(false, "name"), `"name" cannot be updated`)
	require.ErrorContains(t, set(false), "mask is empty")
	require.True(t, get(), "nothing of that changed anything")
	_, err = b.Admin().Accounts.GetAccount(t.Context(), &v1.GetAccountRequest{Name: "accounts/ghost"})
	require.Equal(t, codes.NotFound, status.Code(err))
}
