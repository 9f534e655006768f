package catalog

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Commands returns the types of actions that run shell commands. They differ only in their
// category, which says what the commands are for.
func Commands() []pipeline.Type {
	categories := []pipeline.Category{pipeline.CategoryBuild, pipeline.CategoryTest, pipeline.CategoryDeploy, pipeline.CategoryCompute}
	types := make([]pipeline.Type, len(categories))
	for i, category := range categories {
		types[i] = pipeline.Type{
			ID:        id(category, "Commands"),
			Summary:   "Runs shell commands in order on a runner, until one fails.",
			Work:      pipeline.WorkAttempt,
			MaxInputs: maxArtifacts, MaxOutputs: maxArtifacts,
			Takes: pipeline.TakesCommands | pipeline.TakesEnvironment | pipeline.TakesOutputVariables | pipeline.TakesOutputFiles,
			// Only the author of the commands can say whether they may run twice.
			OnLost:         pipeline.OnLostFail,
			DefaultTimeout: time.Hour,
		}
	}
	return types
}
