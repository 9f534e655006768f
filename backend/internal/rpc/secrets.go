package rpc

import (
	"context"
	"fmt"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// secrets serves SecretService.
type secrets struct {
	headracev1.UnimplementedSecretServiceServer
	use *service.Secrets
}

// CreateSecret implements SecretService.
func (s *secrets) CreateSecret(ctx context.Context, req *headracev1.CreateSecretRequest) (*headracev1.CreateSecretResponse, error) {
	in, err := secretFromProto(req.GetSecret())
	if err != nil {
		return nil, err
	}
	created, err := s.use.Create(ctx, caller(ctx), in, req.GetRequestId(), req.GetValidateOnly())
	if err != nil {
		return nil, err
	}
	return &headracev1.CreateSecretResponse{Secret: secretToProto(created)}, nil
}

// GetSecret implements SecretService.
func (s *secrets) GetSecret(ctx context.Context, req *headracev1.GetSecretRequest) (*headracev1.GetSecretResponse, error) {
	name, err := named(pipeline.ParseSecretName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	err = s.use.ConfirmCreate(ctx, caller(ctx), service.Created{
		Account: name.Account, Method: "CreateSecret", Resource: name.String(), RequestID: req.GetConfirmRequestId(),
	})
	if err != nil {
		return nil, err
	}
	secret, err := s.use.Get(ctx, caller(ctx), name.Account, name.Secret)
	if err != nil {
		return nil, err
	}
	return &headracev1.GetSecretResponse{Secret: secretToProto(secret)}, nil
}

// ListSecrets implements SecretService.
func (s *secrets) ListSecrets(ctx context.Context, req *headracev1.ListSecretsRequest) (*headracev1.ListSecretsResponse, error) {
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return nil, err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	found, next, err := s.use.List(ctx, caller(ctx), parent.Account, after, pageSize(req.GetPageSize(), defaultPage))
	if err != nil {
		return nil, err
	}
	return &headracev1.ListSecretsResponse{Secrets: each(found, secretToProto), NextPageToken: pageToken(next)}, nil
}

// UpdateSecret implements SecretService.
func (s *secrets) UpdateSecret(ctx context.Context, req *headracev1.UpdateSecretRequest) (*headracev1.UpdateSecretResponse, error) {
	in, err := secretFromProto(req.GetSecret())
	if err != nil {
		return nil, err
	}
	updated, err := s.use.Update(ctx, caller(ctx), in, req.GetSecret().GetEtag(), req.GetValidateOnly(),
		refuseClearing(ctx, req, fmt.Sprintf("secret %q", in.Name), secretToProto))
	if err != nil {
		return nil, err
	}
	return &headracev1.UpdateSecretResponse{Secret: secretToProto(updated)}, nil
}

// DeleteSecret implements SecretService.
func (s *secrets) DeleteSecret(ctx context.Context, req *headracev1.DeleteSecretRequest) (*headracev1.DeleteSecretResponse, error) {
	name, err := named(pipeline.ParseSecretName, req.GetName(), "name")
	if err != nil {
		return nil, err
	}
	if err := s.use.Delete(ctx, caller(ctx), name.Account, name.Secret, req.GetEtag()); err != nil {
		return nil, err
	}
	return &headracev1.DeleteSecretResponse{}, nil
}

func secretFromProto(p *headracev1.Secret) (service.SecretInput, error) {
	name, err := named(pipeline.ParseSecretName, p.GetName(), "secret", "name")
	if err != nil {
		return service.SecretInput{}, err
	}
	return service.SecretInput{Account: name.Account, Name: name.Secret, Description: p.GetDescription(), Value: p.GetValue()}, nil
}

// secretToProto leaves the value out, which nobody reads.
func secretToProto(s definition.Secret) *headracev1.Secret {
	return &headracev1.Secret{
		Name:        pipeline.SecretName{Account: s.Account, Secret: s.Name}.String(),
		Description: s.Description, Version: s.Version, ValueTime: timestamp(s.ValueAt),
		Etag: s.Etag(), CreateTime: timestamp(s.CreatedAt), UpdateTime: timestamp(s.UpdatedAt),
	}
}
