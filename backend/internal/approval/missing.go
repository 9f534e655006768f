package approval

import "github.com/headrace/terraform-provider-headrace/backend/internal/store"

// Missing returns the manual approval actions of pipelines that no rule matches.
func Missing(rules []store.ApprovalRule, pipelines []Outline) []Guard {
	var missing []Guard
	for i := range pipelines {
		outline := &pipelines[i]
		for _, stage := range outline.Stages {
			for _, action := range stage.Manual {
				if len(Requirements(rules, outline.Pipeline, stage.Name, action)) == 0 {
					missing = append(missing, Guard{Pipeline: outline.Pipeline, Part: Part{Stage: stage.Name, Action: action}})
				}
			}
		}
	}
	return missing
}
