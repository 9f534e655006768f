// Package pipelinepb converts between the domain of pipelines and its form in
// the contract. It must never check or default anything: what comes in wrong is
// the validator's to refuse, so it has to get there unchanged.
package pipelinepb

import (
	"maps"
	"math"
	"slices"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// FromProto returns the definition of a message, or nil of nil. It shares no
// memory with the message.
func FromProto(p *headracev1.PipelineDefinition) *pipeline.Definition {
	if p == nil {
		return nil
	}
	return &pipeline.Definition{
		Description:   p.GetDescription(),
		ExecutionMode: ModeFromProto(p.GetExecutionMode()),
		PipelineType:  p.GetPipelineType(),
		RoleARN:       p.GetRoleArn(),
		ArtifactStores: convert(p.GetArtifactStores(), func(s *headracev1.ArtifactStore) pipeline.ArtifactStore {
			return pipeline.ArtifactStore{
				Location: s.GetLocation(), Type: s.GetType(), Region: s.GetRegion(),
				EncryptionKeyID: s.GetEncryptionKeyId(), EncryptionKeyType: s.GetEncryptionKeyType(),
			}
		}),
		Variables: convert(p.GetVariables(), func(v *headracev1.Variable) pipeline.Variable {
			return pipeline.Variable{Name: v.GetName(), DefaultValue: copyOf(v.DefaultValue), Description: v.GetDescription()}
		}),
		Triggers: convert(p.GetTriggers(), triggerFromProto),
		Stages:   convert(p.GetStages(), StageFromProto),
	}
}

// ToProto returns the message of a definition, or nil of nil.
func ToProto(d *pipeline.Definition) *headracev1.PipelineDefinition {
	if d == nil {
		return nil
	}
	return &headracev1.PipelineDefinition{
		Description:   d.Description,
		ExecutionMode: ModeToProto(d.ExecutionMode),
		PipelineType:  d.PipelineType,
		RoleArn:       d.RoleARN,
		ArtifactStores: convert(d.ArtifactStores, func(s pipeline.ArtifactStore) *headracev1.ArtifactStore {
			return &headracev1.ArtifactStore{
				Location: s.Location, Type: s.Type, Region: s.Region,
				EncryptionKeyId: s.EncryptionKeyID, EncryptionKeyType: s.EncryptionKeyType,
			}
		}),
		Variables: convert(d.Variables, func(v pipeline.Variable) *headracev1.Variable {
			return &headracev1.Variable{Name: v.Name, DefaultValue: copyOf(v.DefaultValue), Description: v.Description}
		}),
		Triggers: convert(d.Triggers, triggerToProto),
		Stages:   convert(d.Stages, StageToProto),
	}
}

// StageFromProto returns the stage of a message, with its actions.
func StageFromProto(p *headracev1.Stage) pipeline.Stage {
	return pipeline.Stage{
		Name:        p.GetName(),
		Actions:     convert(p.GetActions(), ActionFromProto),
		BeforeEntry: ConditionFromProto(p.GetBeforeEntry()),
		OnSuccess:   ConditionFromProto(p.GetOnSuccess()),
		OnFailure:   OnFailureFromProto(p.GetOnFailure()),
	}
}

// StageToProto returns the message of a stage, with its actions.
func StageToProto(s pipeline.Stage) *headracev1.Stage {
	return &headracev1.Stage{
		Name:        s.Name,
		Actions:     convert(s.Actions, ActionToProto),
		BeforeEntry: ConditionToProto(s.BeforeEntry),
		OnSuccess:   ConditionToProto(s.OnSuccess),
		OnFailure:   OnFailureToProto(s.OnFailure),
	}
}

// PipelineStageFromProto returns the stage that an object of a composed pipeline
// describes, under the given name and without actions.
func PipelineStageFromProto(name string, p *headracev1.PipelineStage) pipeline.Stage {
	return pipeline.Stage{
		Name:        name,
		BeforeEntry: ConditionFromProto(p.GetBeforeEntry()),
		OnSuccess:   ConditionFromProto(p.GetOnSuccess()),
		OnFailure:   OnFailureFromProto(p.GetOnFailure()),
	}
}

// PipelineStageToProto returns the object of a composed pipeline for a stage,
// without its order and etag, which are not the stage's own.
func PipelineStageToProto(name pipeline.StageName, s pipeline.Stage) *headracev1.PipelineStage {
	return &headracev1.PipelineStage{
		Name:        name.String(),
		BeforeEntry: ConditionToProto(s.BeforeEntry),
		OnSuccess:   ConditionToProto(s.OnSuccess),
		OnFailure:   OnFailureToProto(s.OnFailure),
	}
}

// ConditionFromProto returns the condition of a message, or nil of nil.
func ConditionFromProto(p *headracev1.Condition) *pipeline.Condition {
	if p == nil {
		return nil
	}
	return &pipeline.Condition{
		Result: p.GetResult(),
		Rules: convert(p.GetRules(), func(r *headracev1.Rule) pipeline.Rule {
			return pipeline.Rule{
				Name: r.GetName(), Provider: r.GetProvider(), Version: r.GetVersion(),
				Configuration: copyMap(r.GetConfiguration()), Commands: copyList(r.GetCommands()),
				InputArtifacts: copyList(r.GetInputArtifacts()),
				RoleARN:        r.GetRoleArn(), Region: r.GetRegion(), TimeoutInMinutes: int(r.GetTimeoutInMinutes()),
			}
		}),
	}
}

// ConditionToProto returns the message of a condition, or nil of nil.
func ConditionToProto(c *pipeline.Condition) *headracev1.Condition {
	if c == nil {
		return nil
	}
	return &headracev1.Condition{
		Result: c.Result,
		Rules: convert(c.Rules, func(r pipeline.Rule) *headracev1.Rule {
			return &headracev1.Rule{
				Name: r.Name, Provider: r.Provider, Version: r.Version,
				Configuration: copyMap(r.Configuration), Commands: copyList(r.Commands),
				InputArtifacts: copyList(r.InputArtifacts),
				RoleArn:        r.RoleARN, Region: r.Region, TimeoutInMinutes: clamp(r.TimeoutInMinutes),
			}
		}),
	}
}

// OnFailureFromProto returns the block of a message, or nil of nil.
func OnFailureFromProto(p *headracev1.OnFailure) *pipeline.OnFailure {
	if p == nil {
		return nil
	}
	return &pipeline.OnFailure{
		Result: p.GetResult(), RetryMode: p.GetRetryMode(), Condition: ConditionFromProto(p.GetCondition()),
	}
}

// OnFailureToProto returns the message of the block, or nil of nil.
func OnFailureToProto(f *pipeline.OnFailure) *headracev1.OnFailure {
	if f == nil {
		return nil
	}
	return &headracev1.OnFailure{
		Result: f.Result, RetryMode: f.RetryMode, Condition: ConditionToProto(f.Condition),
	}
}

// ActionFromProto returns the action of a message.
func ActionFromProto(p *headracev1.Action) pipeline.Action {
	return pipeline.Action{
		Name:          p.GetName(),
		Category:      pipeline.Category(p.GetCategory()),
		Owner:         p.GetOwner(),
		Provider:      p.GetProvider(),
		Version:       p.GetVersion(),
		RunOrder:      int(p.GetRunOrder()),
		Configuration: copyMap(p.GetConfiguration()),
		Commands:      copyList(p.GetCommands()),
		EnvironmentVariables: convert(p.GetEnvironmentVariables(), func(v *headracev1.EnvironmentVariable) pipeline.EnvironmentVariable {
			return pipeline.EnvironmentVariable{Name: v.GetName(), Value: v.GetValue(), Type: v.GetType()}
		}),
		InputArtifacts: copyList(p.GetInputArtifacts()),
		OutputArtifacts: convert(p.GetOutputArtifacts(), func(o *headracev1.OutputArtifact) pipeline.OutputArtifact {
			return pipeline.OutputArtifact{Name: o.GetName(), Files: copyList(o.GetFiles())}
		}),
		OutputVariables:  copyList(p.GetOutputVariables()),
		Namespace:        p.GetNamespace(),
		RoleARN:          p.GetRoleArn(),
		Region:           p.GetRegion(),
		TimeoutInMinutes: int(p.GetTimeoutInMinutes()),
		OnLost:           pipeline.OnLost(p.GetOnLost()),
	}
}

// ActionToProto returns the message of an action.
func ActionToProto(a pipeline.Action) *headracev1.Action {
	return &headracev1.Action{
		Name:          a.Name,
		Category:      string(a.Category),
		Owner:         a.Owner,
		Provider:      a.Provider,
		Version:       a.Version,
		RunOrder:      clamp(a.RunOrder),
		Configuration: copyMap(a.Configuration),
		Commands:      copyList(a.Commands),
		EnvironmentVariables: convert(a.EnvironmentVariables, func(v pipeline.EnvironmentVariable) *headracev1.EnvironmentVariable {
			return &headracev1.EnvironmentVariable{Name: v.Name, Value: v.Value, Type: v.Type}
		}),
		InputArtifacts: copyList(a.InputArtifacts),
		OutputArtifacts: convert(a.OutputArtifacts, func(o pipeline.OutputArtifact) *headracev1.OutputArtifact {
			return &headracev1.OutputArtifact{Name: o.Name, Files: copyList(o.Files)}
		}),
		OutputVariables:  copyList(a.OutputVariables),
		Namespace:        a.Namespace,
		RoleArn:          a.RoleARN,
		Region:           a.Region,
		TimeoutInMinutes: clamp(a.TimeoutInMinutes),
		OnLost:           string(a.OnLost),
	}
}

// convert returns the converted elements, and nil of an empty list, since the
// wire knows no difference.
func convert[From, To any](list []From, one func(From) To) []To {
	if len(list) == 0 {
		return nil
	}
	converted := make([]To, len(list))
	for i, element := range list {
		converted[i] = one(element)
	}
	return converted
}

func copyList(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}

func copyMap(m map[string]string) map[string]string {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}

func copyOf(text *string) *string {
	if text == nil {
		return nil
	}
	value := *text
	return &value
}

// clamp keeps a number that is out of bounds out of bounds.
func clamp(n int) int32 {
	return int32(max(math.MinInt32, min(n, math.MaxInt32)))
}
