package rpc

import (
	"context"
	"maps"
	"slices"

	"google.golang.org/protobuf/types/known/durationpb"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// catalogServer serves CatalogService.
type catalogServer struct {
	headracev1.UnimplementedCatalogServiceServer
	use *service.Types
}

// ListActionTypes implements CatalogService.
func (s *catalogServer) ListActionTypes(
	ctx context.Context, req *headracev1.ListActionTypesRequest,
) (*headracev1.ListActionTypesResponse, error) {
	types, next, err := typesPage(ctx, s.use.Actions, req)
	if err != nil {
		return nil, err
	}
	return &headracev1.ListActionTypesResponse{ActionTypes: each(types, actionTypeToProto), NextPageToken: pageToken(next)}, nil
}

// ListRuleTypes implements CatalogService.
func (s *catalogServer) ListRuleTypes(
	ctx context.Context, req *headracev1.ListRuleTypesRequest,
) (*headracev1.ListRuleTypesResponse, error) {
	types, next, err := typesPage(ctx, s.use.Rules, req)
	if err != nil {
		return nil, err
	}
	return &headracev1.ListRuleTypesResponse{RuleTypes: each(types, ruleTypeToProto), NextPageToken: pageToken(next)}, nil
}

// typesPage returns the page of types that a request is for.
func typesPage(
	ctx context.Context,
	list func(ctx context.Context, who auth.Identity, account, after string, size int) ([]pipeline.Type, string, error),
	req interface {
		GetParent() string
		GetPageToken() string
		GetPageSize() int32
	},
) ([]pipeline.Type, string, error) {
	parent, err := named(pipeline.ParseAccountName, req.GetParent(), "parent")
	if err != nil {
		return nil, "", err
	}
	after, err := pageKey(req.GetPageToken())
	if err != nil {
		return nil, "", err
	}
	return list(ctx, caller(ctx), parent.Account, after, pageSize(req.GetPageSize(), defaultPage))
}

func actionTypeToProto(t pipeline.Type) *headracev1.ActionType {
	return &headracev1.ActionType{
		Id: typeIDToProto(t.ID), Summary: t.Summary, ActionConfigurationProperties: each(t.Configurable(), propertyToProto),
		ExclusiveProperties:   each(t.Exclusive, exclusiveToProto),
		InputArtifactDetails:  &headracev1.ArtifactDetails{MinimumCount: int32(t.MinInputs), MaximumCount: int32(t.MaxInputs)},
		OutputArtifactDetails: &headracev1.ArtifactDetails{MinimumCount: int32(t.MinOutputs), MaximumCount: int32(t.MaxOutputs)},
		Arguments:             argumentsToProto(t.Takes),
		OutputVariables: each(t.Variables, func(v pipeline.OutputVariable) *headracev1.OutputVariable {
			return &headracev1.OutputVariable{Name: v.Name, Description: v.Description}
		}),
		RevisionTypes:  slices.Sorted(maps.Keys(t.Overrides)),
		DefaultTimeout: durationpb.New(t.DefaultTimeout), Example: t.Example(),
	}
}

func ruleTypeToProto(t pipeline.Type) *headracev1.RuleType {
	p := &headracev1.RuleType{
		Id: typeIDToProto(t.ID), Summary: t.Summary, RuleConfigurationProperties: each(t.Properties, propertyToProto),
		ExclusiveProperties:  each(t.Exclusive, exclusiveToProto),
		InputArtifactDetails: &headracev1.ArtifactDetails{MinimumCount: int32(t.MinInputs), MaximumCount: int32(t.MaxInputs)},
		Arguments:            argumentsToProto(t.Takes), MaySkip: t.MaySkip, Example: t.Example(),
	}
	if t.DefaultTimeout > 0 {
		p.DefaultTimeout = durationpb.New(t.DefaultTimeout)
	}
	return p
}

func typeIDToProto(id pipeline.TypeID) *headracev1.ActionTypeId {
	return &headracev1.ActionTypeId{Category: string(id.Category), Owner: id.Owner, Provider: id.Provider, Version: id.Version}
}

func propertyToProto(p pipeline.Property) *headracev1.ConfigurationProperty {
	kind := p.Type
	if kind == "" {
		kind = pipeline.PropertyString
	}
	return &headracev1.ConfigurationProperty{
		Name: p.Name, Description: p.Description, Type: propertyTypeEnum.ToProto(kind), Required: p.Required,
		DefaultValue: p.Default, AllowedValues: p.Allowed, Example: p.Example,
	}
}

func exclusiveToProto(names []string) *headracev1.ExclusiveProperties {
	return &headracev1.ExclusiveProperties{Names: names}
}

func argumentsToProto(takes pipeline.Takes) []headracev1.Argument {
	var arguments []headracev1.Argument
	for flag := pipeline.Takes(1); flag <= takes; flag <<= 1 {
		if takes.Has(flag) {
			arguments = append(arguments, argumentEnum.ToProto(flag))
		}
	}
	return arguments
}
