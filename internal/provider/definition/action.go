package definition

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// Defaults that the plan shows. The domain has the same ones for empty fields.
const (
	defaultRunOrder        = 1
	defaultEnvironmentType = string(domain.EnvironmentPlaintext)
	defaultPipelineType    = string(domain.PipelineTypeV2)
)

// Action is an action block within a stage block.
type Action struct {
	Name     types.String `tfsdk:"name"`
	Provider types.String `tfsdk:"provider"`
	ActionFields
}

// ActionFields is what an action has wherever it is written, but for its name
// and its action provider, which headrace_action calls differently.
type ActionFields struct {
	Category             types.String          `tfsdk:"category"`
	Owner                types.String          `tfsdk:"owner"`
	Version              types.String          `tfsdk:"version"`
	RunOrder             types.Int64           `tfsdk:"run_order"`
	Configuration        types.Map             `tfsdk:"configuration"`
	Commands             types.List            `tfsdk:"commands"`
	EnvironmentVariables []EnvironmentVariable `tfsdk:"environment_variable"`
	InputArtifacts       types.List            `tfsdk:"input_artifacts"`
	OutputArtifacts      types.List            `tfsdk:"output_artifacts"`
	OutputArtifactFiles  types.Map             `tfsdk:"output_artifact_files"`
	OutputVariables      types.List            `tfsdk:"output_variables"`
	Namespace            types.String          `tfsdk:"namespace"`
	RoleARN              types.String          `tfsdk:"role_arn"`
	Region               types.String          `tfsdk:"region"`
	TimeoutInMinutes     types.Int64           `tfsdk:"timeout_in_minutes"`
	OnLost               types.String          `tfsdk:"on_lost"`
}

// EnvironmentVariable is an environment_variable block.
type EnvironmentVariable struct {
	Name  types.String `tfsdk:"name"`
	Value types.String `tfsdk:"value"`
	Type  types.String `tfsdk:"type"`
}

// Domain returns the action as the domain has it.
func (f ActionFields) Domain(name, provider types.String) domain.Action {
	action := domain.Action{
		Name:                 values.Text(name),
		Category:             domain.Category(values.Text(f.Category)),
		Owner:                values.Text(f.Owner),
		Provider:             values.Text(provider),
		Version:              values.Text(f.Version),
		RunOrder:             values.Whole(f.RunOrder),
		Configuration:        values.TextMap(f.Configuration),
		Commands:             values.Texts(f.Commands),
		EnvironmentVariables: environmentDomain(f.EnvironmentVariables),
		InputArtifacts:       values.Texts(f.InputArtifacts),
		OutputVariables:      values.Texts(f.OutputVariables),
		Namespace:            values.Text(f.Namespace),
		RoleARN:              values.Text(f.RoleARN),
		Region:               values.Text(f.Region),
		TimeoutInMinutes:     values.Whole(f.TimeoutInMinutes),
		OnLost:               domain.OnLost(values.Text(f.OnLost)),
	}
	files := values.TextLists(f.OutputArtifactFiles)
	for _, artifact := range values.Texts(f.OutputArtifacts) {
		action.OutputArtifacts = append(action.OutputArtifacts, domain.OutputArtifact{
			Name:  artifact,
			Files: files[artifact],
		})
	}
	return action
}

// ActionFieldsOf returns what Terraform shows of an action. Where null and empty
// mean the same, the choice of prior stays.
func ActionFieldsOf(action domain.Action, prior ActionFields) ActionFields {
	fields := ActionFields{
		Category:             values.FromText(string(action.Category)),
		Owner:                values.FromText(action.Owner),
		Version:              values.FromText(action.Version),
		RunOrder:             types.Int64Value(int64(action.Order())),
		Configuration:        values.FromTextMap(domain.RestoreSecrets(action.Configuration, values.TextMap(prior.Configuration)), prior.Configuration),
		Commands:             values.FromTexts(action.Commands, prior.Commands),
		EnvironmentVariables: environmentOf(action.EnvironmentVariables),
		InputArtifacts:       values.FromTexts(action.InputArtifacts, prior.InputArtifacts),
		OutputVariables:      values.FromTexts(action.OutputVariables, prior.OutputVariables),
		Namespace:            values.FromText(action.Namespace),
		RoleARN:              values.FromText(action.RoleARN),
		Region:               values.FromText(action.Region),
		TimeoutInMinutes:     values.FromWhole(action.TimeoutInMinutes),
		OnLost:               values.FromText(string(action.OnLost)),
	}
	var artifacts []string
	files := map[string][]string{}
	for _, artifact := range action.OutputArtifacts {
		artifacts = append(artifacts, artifact.Name)
		files[artifact.Name] = artifact.Files
	}
	fields.OutputArtifacts = values.FromTexts(artifacts, prior.OutputArtifacts)
	fields.OutputArtifactFiles = values.FromTextLists(files, prior.OutputArtifactFiles)
	return fields
}

func environmentDomain(blocks []EnvironmentVariable) []domain.EnvironmentVariable {
	var variables []domain.EnvironmentVariable
	for _, block := range blocks {
		variables = append(variables, domain.EnvironmentVariable{
			Name:  values.Text(block.Name),
			Value: values.Text(block.Value),
			Type:  domain.EnvironmentVariableType(values.Text(block.Type)),
		})
	}
	return variables
}

func environmentOf(variables []domain.EnvironmentVariable) []EnvironmentVariable {
	var blocks []EnvironmentVariable
	for _, variable := range variables {
		blocks = append(blocks, EnvironmentVariable{
			Name:  types.StringValue(variable.Name),
			Value: types.StringValue(variable.Value),
			Type:  values.FromTextOr(string(variable.Type), defaultEnvironmentType),
		})
	}
	return blocks
}

func actionOf(action domain.Action, prior Action) Action {
	return Action{
		Name:         types.StringValue(action.Name),
		Provider:     values.FromText(action.Provider),
		ActionFields: ActionFieldsOf(action, prior.ActionFields),
	}
}
