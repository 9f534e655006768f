package catalog

import (
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// RuleExpression returns the rule that evaluates an expression.
func RuleExpression() pipeline.Type {
	const text = "Expression"
	return pipeline.Type{
		ID:      id(pipeline.CategoryRule, "Expression"),
		Summary: "Evaluates an expression of the Common Expression Language. The rule is met if it is true.",
		Work:    pipeline.WorkImmediate,
		Properties: []pipeline.Property{{
			Name: text, Type: pipeline.PropertyExpression, Required: true, Example: `outputs.Build.VERSION != ""`,
			Description: "Expression that yields true or false, up to 10,000 bytes. It may read `variables`, `outputs`, `revisions`, " +
				"`trigger`, `execution` and `now`.",
		}},
		MaxInputs: maxArtifacts,
		MaySkip:   true,
		Decide: func(values map[string]string, facts pipeline.Facts) (bool, string, error) {
			met, err := expression.Evaluate(values[text], facts)
			if met {
				return met, "the expression is true", err
			}
			return met, "the expression is false", err
		},
	}
}
