package definition

import (
	"fmt"
	"maps"
	"slices"

	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/values"
)

// Terraform has the globs of output artifacts in a map of their own, by the names
// of the artifacts; the domain has them in the artifacts.
const outputFiles = "output_artifact_files"

// TerraformPath returns where Terraform has a field of the action: the globs of an output
// artifact are under its name. Other paths stay. The path may begin above the action.
func (f ActionFields) TerraformPath(fields domain.Path) domain.Path {
	last := len(fields) - 1
	if last < 1 || fields[last].Field != "files" || fields[last-1].Field != "output_artifacts" {
		return fields
	}
	artifacts := values.Texts(f.OutputArtifacts)
	if index := fields[last-1].Index; index >= 0 && index < len(artifacts) {
		return fields[:last-1].Entry(outputFiles, artifacts[index])
	}
	return fields
}

// TerraformPathIn is ActionFields.TerraformPath for a field of stages.
func TerraformPathIn(stages []Stage, fields domain.Path) domain.Path {
	var stage *Stage
	for _, step := range fields {
		switch {
		case step.Field == "stages" && step.Index >= 0 && step.Index < len(stages):
			stage = &stages[step.Index]
		case step.Field == "actions" && stage != nil && step.Index >= 0 && step.Index < len(stage.Actions):
			return stage.Actions[step.Index].TerraformPath(fields)
		}
	}
	return fields
}

// CheckOutputFiles returns a violation for each entry of output_artifact_files that
// names no output artifact: the domain has no place for it. action is the path of the
// action in the definition.
func (f ActionFields) CheckOutputFiles(def *domain.Definition, action domain.Path) []domain.Violation {
	artifacts := values.Texts(f.OutputArtifacts)
	if slices.Contains(artifacts, domain.Unknown) {
		return nil
	}
	var unnamed []domain.Violation
	for _, name := range slices.Sorted(maps.Keys(f.OutputArtifactFiles.Elements())) {
		if !f.OutputArtifactFiles.Elements()[name].IsNull() && !slices.Contains(artifacts, name) {
			at := action.Entry(outputFiles, name)
			unnamed = append(unnamed, domain.Violation{
				Path: at,
				Message: fmt.Sprintf("%s: the action has no output artifact %q%s; name it in output_artifacts too, or remove it here",
					domain.Locate(def, at), name, domain.DidYouMean(name, artifacts)),
			})
		}
	}
	return unnamed
}

// CheckOutputFilesIn is ActionFields.CheckOutputFiles for all actions of stages.
func CheckOutputFilesIn(def *domain.Definition, stages []Stage) []domain.Violation {
	var unnamed []domain.Violation
	for i, stage := range stages {
		for j, action := range stage.Actions {
			unnamed = append(unnamed, action.CheckOutputFiles(def, domain.Path(nil).At("stages", i).At("actions", j))...)
		}
	}
	return unnamed
}
