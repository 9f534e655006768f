package pipelineversion

import (
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/fieldpath"
)

// describe says which stage and action a violation is about, and what is wrong
// there. The server counts the parts that it put together; the user knows them by
// their names.
func describe(def *domain.Definition, violation client.Violation) string {
	fields, err := domain.ParsePath(violation.Field)
	if err != nil || len(fields) == 0 {
		return violation.Description
	}
	var where []string
	shape := fieldpath.Definition()
	if step := fields[0]; step.Field == "stages" && step.Index >= 0 && step.Index < len(def.Stages) {
		stage := def.Stages[step.Index]
		where = append(where, fmt.Sprintf("stage %q", stage.Name))
		fields, shape = fields[1:], fieldpath.Stage()
		if len(fields) > 0 && fields[0].Field == "actions" && fields[0].Index >= 0 && fields[0].Index < len(stage.Actions) {
			where = append(where, fmt.Sprintf("action %q", stage.Actions[fields[0].Index].Name))
			fields, shape = fields[1:], fieldpath.Action()
		}
	}
	if at := shape.Translate(path.Empty(), fields); !at.Equal(path.Empty()) {
		where = append(where, at.String())
	}
	if len(where) == 0 {
		return violation.Description
	}
	return strings.Join(where, ", ") + ": " + violation.Description
}
