// Package pipelinepb converts between the domain of pipelines and its form in
// the contract. It must never check or default anything: what comes in wrong is
// the validator's to refuse, so it has to get there unchanged.
package pipelinepb

import (
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
		Description:   known(p.GetDescription()),
		ExecutionMode: ModeFromProto(p.GetExecutionMode()),
		OnUpdate:      OnUpdateFromProto(p.GetOnUpdate()),
		PipelineType:  pipeline.PipelineType(known(p.GetPipelineType())),
		RoleARN:       known(p.GetRoleArn()),
		ArtifactStores: convert(p.GetArtifactStores(), func(s *headracev1.ArtifactStore) pipeline.ArtifactStore {
			return pipeline.ArtifactStore{
				Location: known(s.GetLocation()), Type: known(s.GetType()), Region: known(s.GetRegion()),
				EncryptionKeyID: known(s.GetEncryptionKeyId()), EncryptionKeyType: known(s.GetEncryptionKeyType()),
			}
		}),
		Variables: convert(p.GetVariables(), func(v *headracev1.Variable) pipeline.Variable {
			return pipeline.Variable{Name: known(v.GetName()), DefaultValue: knownOptional(v.DefaultValue), Description: known(v.GetDescription())}
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
		OnUpdate:      OnUpdateToProto(d.OnUpdate),
		PipelineType:  string(d.PipelineType),
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
		Name:        known(p.GetName()),
		Actions:     convert(p.GetActions(), ActionFromProto),
		BeforeEntry: ConditionFromProto(p.GetBeforeEntry()),
		OnSuccess:   ConditionFromProto(p.GetOnSuccess()),
		OnFailure:   OnFailureFromProto(p.GetOnFailure()),
		OnRollback:  OnRollbackFromProto(p.GetOnRollback()),
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
		OnRollback:  OnRollbackToProto(s.OnRollback),
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
		OnRollback:  OnRollbackFromProto(p.GetOnRollback()),
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
		OnRollback:  OnRollbackToProto(s.OnRollback),
	}
}

// ConditionFromProto returns the condition of a message, or nil of nil.
func ConditionFromProto(p *headracev1.Condition) *pipeline.Condition {
	if p == nil {
		return nil
	}
	return &pipeline.Condition{
		Result: pipeline.Result(known(p.GetResult())),
		Rules: convert(p.GetRules(), func(r *headracev1.Rule) pipeline.Rule {
			return pipeline.Rule{
				Name: known(r.GetName()), Provider: known(r.GetProvider()), Version: known(r.GetVersion()),
				Configuration: knownMap(r.GetConfiguration()), Commands: knownList(r.GetCommands()),
				EnvironmentVariables: convert(r.GetEnvironmentVariables(), environmentVariableFromProto),
				InputArtifacts:       knownList(r.GetInputArtifacts()),
				RoleARN:              known(r.GetRoleArn()), Region: known(r.GetRegion()), TimeoutInMinutes: knownInt(r.GetTimeoutInMinutes()),
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
		Result: string(c.Result),
		Rules: convert(c.Rules, func(r pipeline.Rule) *headracev1.Rule {
			return &headracev1.Rule{
				Name: r.Name, Provider: r.Provider, Version: r.Version,
				Configuration: shownMap(r.Configuration), Commands: copyList(r.Commands),
				EnvironmentVariables: convert(r.EnvironmentVariables, environmentVariableToProto),
				InputArtifacts:       copyList(r.InputArtifacts),
				RoleArn:              r.RoleARN, Region: r.Region, TimeoutInMinutes: clamp(r.TimeoutInMinutes),
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
		Result: pipeline.Result(known(p.GetResult())), RetryMode: pipeline.RetryMode(known(p.GetRetryMode())), Condition: ConditionFromProto(p.GetCondition()),
	}
}

// OnFailureToProto returns the message of the block, or nil of nil.
func OnFailureToProto(f *pipeline.OnFailure) *headracev1.OnFailure {
	if f == nil {
		return nil
	}
	return &headracev1.OnFailure{
		Result: string(f.Result), RetryMode: string(f.RetryMode), Condition: ConditionToProto(f.Condition),
	}
}

// OnRollbackFromProto returns the block of a message. None skips nothing.
func OnRollbackFromProto(p *headracev1.OnRollback) pipeline.OnRollback {
	return pipeline.OnRollback{SkipConditions: p.GetSkipConditions(), SkipApprovals: p.GetSkipApprovals()}
}

// OnRollbackToProto returns the message of the block, or nil if it skips nothing.
func OnRollbackToProto(r pipeline.OnRollback) *headracev1.OnRollback {
	if !r.SkipConditions && !r.SkipApprovals {
		return nil
	}
	return &headracev1.OnRollback{SkipConditions: r.SkipConditions, SkipApprovals: r.SkipApprovals}
}

// ActionFromProto returns the action of a message.
func ActionFromProto(p *headracev1.Action) pipeline.Action {
	return pipeline.Action{
		Name:                 known(p.GetName()),
		Category:             pipeline.Category(known(p.GetCategory())),
		Owner:                known(p.GetOwner()),
		Provider:             known(p.GetProvider()),
		Version:              known(p.GetVersion()),
		RunOrder:             knownInt(p.GetRunOrder()),
		Configuration:        knownMap(p.GetConfiguration()),
		Commands:             knownList(p.GetCommands()),
		EnvironmentVariables: convert(p.GetEnvironmentVariables(), environmentVariableFromProto),
		InputArtifacts:       knownList(p.GetInputArtifacts()),
		OutputArtifacts: convert(p.GetOutputArtifacts(), func(o *headracev1.OutputArtifact) pipeline.OutputArtifact {
			return pipeline.OutputArtifact{Name: known(o.GetName()), Files: knownList(o.GetFiles())}
		}),
		OutputVariables:  knownList(p.GetOutputVariables()),
		Namespace:        known(p.GetNamespace()),
		RoleARN:          known(p.GetRoleArn()),
		Region:           known(p.GetRegion()),
		TimeoutInMinutes: knownInt(p.GetTimeoutInMinutes()),
		OnLost:           pipeline.OnLost(known(p.GetOnLost())),
	}
}

// ActionToProto returns the message of an action.
func ActionToProto(a pipeline.Action) *headracev1.Action {
	return &headracev1.Action{
		Name:                 a.Name,
		Category:             string(a.Category),
		Owner:                a.Owner,
		Provider:             a.Provider,
		Version:              a.Version,
		RunOrder:             clamp(a.RunOrder),
		Configuration:        shownMap(a.Configuration),
		Commands:             copyList(a.Commands),
		EnvironmentVariables: convert(a.EnvironmentVariables, environmentVariableToProto),
		InputArtifacts:       copyList(a.InputArtifacts),
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

func environmentVariableFromProto(p *headracev1.EnvironmentVariable) pipeline.EnvironmentVariable {
	return pipeline.EnvironmentVariable{Name: known(p.GetName()), Value: known(p.GetValue()), Type: pipeline.EnvironmentVariableType(known(p.GetType()))}
}

func environmentVariableToProto(v pipeline.EnvironmentVariable) *headracev1.EnvironmentVariable {
	return &headracev1.EnvironmentVariable{Name: v.Name, Value: v.Value, Type: string(v.Type)}
}
