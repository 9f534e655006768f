package catalog

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// RuleCommands returns the rule that runs shell commands.
func RuleCommands() pipeline.Type {
	return pipeline.Type{
		ID:        id(pipeline.CategoryRule, "Commands"),
		Summary:   "Runs shell commands on a runner. The rule is met if all of them succeed.",
		Work:      pipeline.WorkAttempt,
		MaxInputs: maxArtifacts,
		Takes:     pipeline.TakesCommands | pipeline.TakesEnvironment,
		// Only the author of the commands can say whether they may run twice.
		OnLost:         pipeline.OnLostFail,
		DefaultTimeout: time.Hour,
	}
}
