// Package definition holds the blocks that make up a pipeline: their schemas,
// their models and the conversion to and from the domain. headrace_pipeline,
// headrace_stage and headrace_action share it, so that a part reads the same
// wherever it is written. It never talks to the backend.
package definition

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// Settings is a pipeline definition without its stages.
type Settings struct {
	Description    types.String    `tfsdk:"description"`
	ExecutionMode  types.String    `tfsdk:"execution_mode"`
	OnUpdate       types.String    `tfsdk:"on_update"`
	PipelineType   types.String    `tfsdk:"pipeline_type"`
	RoleARN        types.String    `tfsdk:"role_arn"`
	ArtifactStores []ArtifactStore `tfsdk:"artifact_store"`
	Variables      []Variable      `tfsdk:"variable"`
	Triggers       []Trigger       `tfsdk:"trigger"`
}

// ArtifactStore is an artifact_store block.
type ArtifactStore struct {
	Location      types.String    `tfsdk:"location"`
	Type          types.String    `tfsdk:"type"`
	Region        types.String    `tfsdk:"region"`
	EncryptionKey []EncryptionKey `tfsdk:"encryption_key"`
}

// EncryptionKey is an encryption_key block.
type EncryptionKey struct {
	ID   types.String `tfsdk:"id"`
	Type types.String `tfsdk:"type"`
}

// Variable is a variable block.
type Variable struct {
	Name         types.String `tfsdk:"name"`
	DefaultValue types.String `tfsdk:"default_value"`
	Description  types.String `tfsdk:"description"`
}

// Trigger is a trigger block.
type Trigger struct {
	ProviderType     types.String       `tfsdk:"provider_type"`
	GitConfiguration []GitConfiguration `tfsdk:"git_configuration"`
}

// GitConfiguration is a git_configuration block.
type GitConfiguration struct {
	SourceActionName types.String  `tfsdk:"source_action_name"`
	Push             []Push        `tfsdk:"push"`
	PullRequest      []PullRequest `tfsdk:"pull_request"`
}

// Push is a push block.
type Push struct {
	Branches  []Globs `tfsdk:"branches"`
	FilePaths []Globs `tfsdk:"file_paths"`
	Tags      []Globs `tfsdk:"tags"`
}

// PullRequest is a pull_request block.
type PullRequest struct {
	Events    types.List `tfsdk:"events"`
	Branches  []Globs    `tfsdk:"branches"`
	FilePaths []Globs    `tfsdk:"file_paths"`
}

// Globs is a block of patterns.
type Globs struct {
	Includes types.List `tfsdk:"includes"`
	Excludes types.List `tfsdk:"excludes"`
}

// Domain returns the definition without stages as the domain has it.
func (s Settings) Domain() domain.Definition {
	def := domain.Definition{
		Description:   values.Text(s.Description),
		ExecutionMode: domain.ExecutionMode(values.Text(s.ExecutionMode)),
		OnUpdate:      domain.OnUpdate(values.Text(s.OnUpdate)),
		PipelineType:  domain.PipelineType(values.Text(s.PipelineType)),
		RoleARN:       values.Text(s.RoleARN),
	}
	for _, block := range s.ArtifactStores {
		store := domain.ArtifactStore{
			Location: values.Text(block.Location),
			Type:     values.Text(block.Type),
			Region:   values.Text(block.Region),
		}
		if len(block.EncryptionKey) > 0 {
			store.EncryptionKeyID = values.Text(block.EncryptionKey[0].ID)
			store.EncryptionKeyType = values.Text(block.EncryptionKey[0].Type)
		}
		def.ArtifactStores = append(def.ArtifactStores, store)
	}
	for _, block := range s.Variables {
		def.Variables = append(def.Variables, domain.Variable{
			Name:         values.Text(block.Name),
			DefaultValue: values.OptionalText(block.DefaultValue),
			Description:  values.Text(block.Description),
		})
	}
	for _, block := range s.Triggers {
		def.Triggers = append(def.Triggers, block.domain())
	}
	return def
}

// SettingsOf returns what Terraform shows of a definition without its stages.
// Where null and empty mean the same, the choice of prior stays.
func SettingsOf(def *domain.Definition, prior Settings) Settings {
	settings := Settings{
		Description:   values.FromText(def.Description),
		ExecutionMode: types.StringValue(string(def.Mode())),
		OnUpdate:      values.FromTextOr(string(def.OnUpdate), string(domain.OnUpdateFinish)),
		PipelineType:  values.FromTextOr(string(def.PipelineType), defaultPipelineType),
		RoleARN:       values.FromText(def.RoleARN),
	}
	for _, store := range def.ArtifactStores {
		block := ArtifactStore{
			Location: values.FromText(store.Location),
			Type:     values.FromText(store.Type),
			Region:   values.FromText(store.Region),
		}
		if store.EncryptionKeyID != "" || store.EncryptionKeyType != "" {
			block.EncryptionKey = []EncryptionKey{{
				ID:   values.FromText(store.EncryptionKeyID),
				Type: values.FromText(store.EncryptionKeyType),
			}}
		}
		settings.ArtifactStores = append(settings.ArtifactStores, block)
	}
	for _, variable := range def.Variables {
		settings.Variables = append(settings.Variables, Variable{
			Name:         types.StringValue(variable.Name),
			DefaultValue: types.StringPointerValue(variable.DefaultValue),
			Description:  values.FromText(variable.Description),
		})
	}
	for i, trigger := range def.Triggers {
		settings.Triggers = append(settings.Triggers, triggerOf(trigger, at(prior.Triggers, i)))
	}
	return settings
}

func (t Trigger) domain() domain.Trigger {
	trigger := domain.Trigger{ProviderType: values.Text(t.ProviderType)}
	if len(t.GitConfiguration) == 0 {
		return trigger
	}
	block := t.GitConfiguration[0]
	git := &domain.GitConfiguration{SourceActionName: values.Text(block.SourceActionName)}
	git.Push, git.PullRequest = PushDomain(block.Push), PullRequestDomain(block.PullRequest)
	trigger.GitConfiguration = git
	return trigger
}

// PushDomain returns push blocks as the domain has them.
func PushDomain(blocks []Push) []domain.GitPushFilter {
	var filters []domain.GitPushFilter
	for _, push := range blocks {
		filters = append(filters, domain.GitPushFilter{
			Branches:  globsDomain(push.Branches),
			FilePaths: globsDomain(push.FilePaths),
			Tags:      globsDomain(push.Tags),
		})
	}
	return filters
}

// PullRequestDomain returns pull_request blocks as the domain has them.
func PullRequestDomain(blocks []PullRequest) []domain.GitPullRequestFilter {
	var filters []domain.GitPullRequestFilter
	for _, request := range blocks {
		filters = append(filters, domain.GitPullRequestFilter{
			Events:    values.Texts(request.Events),
			Branches:  globsDomain(request.Branches),
			FilePaths: globsDomain(request.FilePaths),
		})
	}
	return filters
}

func triggerOf(trigger domain.Trigger, prior Trigger) Trigger {
	block := Trigger{ProviderType: values.FromText(trigger.ProviderType)}
	if trigger.GitConfiguration == nil {
		return block
	}
	before := at(prior.GitConfiguration, 0)
	git := GitConfiguration{SourceActionName: values.FromText(trigger.GitConfiguration.SourceActionName)}
	git.Push = PushOf(trigger.GitConfiguration.Push, before.Push)
	git.PullRequest = PullRequestOf(trigger.GitConfiguration.PullRequest, before.PullRequest)
	block.GitConfiguration = []GitConfiguration{git}
	return block
}

// PushOf returns push blocks. Where null and empty mean the same, the choice of prior stays.
func PushOf(filters []domain.GitPushFilter, prior []Push) []Push {
	var blocks []Push
	for i, push := range filters {
		was := at(prior, i)
		blocks = append(blocks, Push{
			Branches:  globsOf(push.Branches, was.Branches),
			FilePaths: globsOf(push.FilePaths, was.FilePaths),
			Tags:      globsOf(push.Tags, was.Tags),
		})
	}
	return blocks
}

// PullRequestOf returns pull_request blocks, by the rule of PushOf.
func PullRequestOf(filters []domain.GitPullRequestFilter, prior []PullRequest) []PullRequest {
	var blocks []PullRequest
	for i, request := range filters {
		was := at(prior, i)
		blocks = append(blocks, PullRequest{
			Events:    values.FromTexts(request.Events, was.Events),
			Branches:  globsOf(request.Branches, was.Branches),
			FilePaths: globsOf(request.FilePaths, was.FilePaths),
		})
	}
	return blocks
}

func globsDomain(blocks []Globs) *domain.GlobFilter {
	if len(blocks) == 0 {
		return nil
	}
	return &domain.GlobFilter{
		Includes: values.Texts(blocks[0].Includes),
		Excludes: values.Texts(blocks[0].Excludes),
	}
}

func globsOf(filter *domain.GlobFilter, prior []Globs) []Globs {
	if filter == nil {
		return nil
	}
	before := at(prior, 0)
	return []Globs{{
		Includes: values.FromTexts(filter.Includes, before.Includes),
		Excludes: values.FromTexts(filter.Excludes, before.Excludes),
	}}
}

// at returns the element at a place, or the zero element beyond the end.
func at[T any](elements []T, index int) T {
	if index < len(elements) {
		return elements[index]
	}
	var none T
	return none
}
