package rpc

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/contract"
)

// accounts serves AccountService.
type accounts struct {
	headracev1.UnimplementedAccountServiceServer
	use *service.Accounts
}

// CreateAccount implements AccountService.
func (s *accounts) CreateAccount(
	ctx context.Context, req *headracev1.CreateAccountRequest,
) (*headracev1.CreateAccountResponse, error) {
	name, err := named(pipeline.ParseAccountName, req.GetAccount().GetName(), "account", "name")
	if err != nil {
		return nil, err
	}
	account, err := s.use.CreateAccount(ctx, caller(ctx), name.Account)
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateAccountResponse{Account: accountToProto(account)}, nil
}

// GetAccount implements AccountService.
func (s *accounts) GetAccount(ctx context.Context, req *headracev1.GetAccountRequest) (*headracev1.GetAccountResponse, error) {
	name, err := named(pipeline.ParseAccountName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	account, err := s.use.GetAccount(ctx, caller(ctx), name.Account)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetAccountResponse{
		Account: accountToProto(account.Account), Warnings: each(account.Warnings, warningToProto),
	}, nil
}

// UpdateAccount implements AccountService.
func (s *accounts) UpdateAccount(ctx context.Context, req *headracev1.UpdateAccountRequest) (*headracev1.UpdateAccountResponse, error) {
	name, err := named(pipeline.ParseAccountName, req.GetAccount().GetName(), "account", "name")
	if err != nil {
		return nil, err
	}
	change, err := accountChange(req)
	if err != nil {
		return nil, err
	}
	account, err := s.use.UpdateAccount(ctx, caller(ctx), name.Account, change)
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateAccountResponse{
		Account: accountToProto(account.Account), Warnings: each(account.Warnings, warningToProto),
	}, nil
}

// accountChange returns what the mask of a request says is to change.
func accountChange(req *headracev1.UpdateAccountRequest) (service.AccountChange, error) {
	var change service.AccountChange
	for _, path := range req.GetUpdateMask().GetPaths() {
		switch path {
		case "*", "settings", "settings.require_approval_rule":
			required := req.GetAccount().GetSettings().GetRequireApprovalRule()
			change.RequireApprovalRule = &required
		default:
			return change, invalidField(fmt.Sprintf("%q cannot be updated; use settings.require_approval_rule, or * for all settings", path), "update_mask")
		}
	}
	if len(req.GetUpdateMask().GetPaths()) == 0 {
		return change, invalidField("the mask is empty; name the settings to change, such as settings.require_approval_rule, or * for all", "update_mask")
	}
	return change, nil
}

// ListAccounts implements AccountService.
func (s *accounts) ListAccounts(
	ctx context.Context, req *headracev1.ListAccountsRequest,
) (*headracev1.ListAccountsResponse, error) {
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, next, err := s.use.ListAccounts(ctx, caller(ctx), after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListAccountsResponse{Accounts: each(found, accountToProto), NextPageToken: pageToken(next)}, nil
}

// CreateToken implements AccountService.
func (s *accounts) CreateToken(
	ctx context.Context, req *headracev1.CreateTokenRequest,
) (*headracev1.CreateTokenResponse, error) {
	in := req.GetToken()
	wanted := service.NewToken{Principal: in.GetPrincipal(), Groups: in.GetGroups()}
	if in.GetExpireTime() != nil {
		wanted.ExpiresAt = in.GetExpireTime().AsTime()
	}
	for _, b := range in.GetBindings() {
		// The contract's rules refused a role that is not in it.
		role, _ := roleEnum.FromProto(b.GetRole())
		wanted.Bindings = append(wanted.Bindings, auth.Binding{Account: b.GetAccount(), Role: role})
	}
	token, secret, err := s.use.CreateToken(ctx, caller(ctx), wanted)
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateTokenResponse{Token: tokenToProto(token), Secret: secret}, nil
}

// ListTokens implements AccountService.
func (s *accounts) ListTokens(
	ctx context.Context, req *headracev1.ListTokensRequest,
) (*headracev1.ListTokensResponse, error) {
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, next, err := s.use.ListTokens(ctx, caller(ctx), after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListTokensResponse{Tokens: each(found, tokenToProto), NextPageToken: pageToken(next)}, nil
}

// RevokeToken implements AccountService.
func (s *accounts) RevokeToken(
	ctx context.Context, req *headracev1.RevokeTokenRequest,
) (*headracev1.RevokeTokenResponse, error) {
	name, err := named(pipeline.ParseTokenName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	if err := s.use.RevokeToken(ctx, caller(ctx), name.ID); err != nil {
		return nil, err
	}
	return &headracev1.RevokeTokenResponse{}, nil
}

// infoServer serves ServerService.
type infoServer struct {
	headracev1.UnimplementedServerServiceServer
	info Info
}

// GetServerInfo implements ServerService.
func (s *infoServer) GetServerInfo(
	context.Context, *headracev1.GetServerInfoRequest,
) (*headracev1.GetServerInfoResponse, error) {
	return &headracev1.GetServerInfoResponse{
		Version: s.info.Version, Capabilities: s.info.Capabilities, Store: s.info.Store, Isolation: s.info.Isolation,
		ContractRevision: contract.Revision(),
	}, nil
}

// WhoAmI implements ServerService.
func (s *infoServer) WhoAmI(ctx context.Context, _ *headracev1.WhoAmIRequest) (*headracev1.WhoAmIResponse, error) {
	who := caller(ctx)
	return &headracev1.WhoAmIResponse{
		Principal: who.Principal, Groups: who.Groups,
		Bindings: each(who.Bindings, func(b auth.Binding) *headracev1.RoleBinding {
			return &headracev1.RoleBinding{Account: b.Account, Role: roleEnum.ToProto(b.Role)}
		}),
	}, nil
}

func accountToProto(a auth.Account) *headracev1.Account {
	return &headracev1.Account{
		Name: pipeline.AccountName{Account: a.Name}.String(), CreateTime: timestamp(a.CreatedAt),
		Settings: &headracev1.AccountSettings{RequireApprovalRule: a.RequireApprovalRule},
	}
}

func tokenToProto(t auth.Token) *headracev1.Token {
	return &headracev1.Token{
		Name: pipeline.TokenName{ID: t.ID}.String(), Principal: t.Principal, Groups: t.Groups,
		Bindings: each(t.Bindings, func(b auth.Binding) *headracev1.RoleBinding {
			return &headracev1.RoleBinding{Account: b.Account, Role: roleEnum.ToProto(b.Role)}
		}),
		CreateTime: timestamp(t.CreatedAt), ExpireTime: timestamp(t.ExpiresAt),
	}
}

// timestamp returns no timestamp of the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// each converts a list.
func each[From, To any](list []From, convert func(From) To) []To {
	converted := make([]To, len(list))
	for i, item := range list {
		converted[i] = convert(item)
	}
	return converted
}
