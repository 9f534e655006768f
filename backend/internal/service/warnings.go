package service

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Warning says that a write is accepted but does less than its author may expect.
type Warning struct {
	// Path is the field of the request that it is about; empty for the whole request.
	Path    pipeline.Path
	Reason  pipeline.Reason
	Message string
	// Rule is the approval rule whose Entry has no effect, or that no longer guards Lost.
	Rule  string
	Entry string
	// Secret is the name of the secret that does not exist.
	Secret string
	// Lost is nil unless the rule loses a part.
	Lost *approval.Guard
}

// definitionWarnings returns what may surprise in a definition that stands at a path of the
// request. Terraform alone sees an empty on_rollback block, which says that a rollback may
// wait.
func definitionWarnings(def *pipeline.Definition, catalog *pipeline.Catalog, outer pipeline.Path, now time.Time) []Warning {
	var warnings []Warning
	for _, w := range pipeline.WarningsAt(def, catalog, now) {
		if w.Reason == pipeline.WarningRollbackWaits {
			continue
		}
		path := slices.Concat(outer, w.Path)
		warnings = append(warnings, Warning{Path: path, Reason: w.Reason, Message: w.Message})
	}
	return warnings
}

// notIsolated warns once of the actions and rules of a definition that run commands, if the
// server refuses to run them for a reason. Steps at the start of a path, as many as inner has,
// are replaced by outer.
func notIsolated(reason error, def *pipeline.Definition, inner, outer pipeline.Path) []Warning {
	if reason == nil {
		return nil
	}
	uses := pipeline.CommandUses(def)
	if len(uses) == 0 {
		return nil
	}
	what := "it fails"
	if more := len(uses) - 1; more > 0 {
		what = fmt.Sprintf("it and %d more actions and rules fail", more)
	}
	return []Warning{{
		Path: slices.Concat(outer, uses[0][len(inner):]), Reason: pipeline.ReasonNotIsolated,
		Message: fmt.Sprintf("%s runs commands, so %s: %v", pipeline.Locate(def, uses[0]), what, reason),
	}}
}

// skipWarnings warns an admin of what rollbacks would skip.
func skipWarnings(skips []approval.Skip, pipelineName string) []Warning {
	warnings := make([]Warning, len(skips))
	for i, s := range skips {
		warnings[i] = skipWarning(s, pipelineName)
	}
	return bounded(warnings)
}

// skipWarning says to an admin what rollbacks skip.
func skipWarning(s approval.Skip, pipelineName string) Warning {
	return Warning{Reason: pipeline.ReasonGuardSkipped, Message: fmt.Sprintf(
		"rule %s: automatic rollbacks skip the %s of stage %s of pipeline %s; on_rollback.%s is set",
		s.Rule, skipped(s), s.Stage, pipelineName, s.Field)}
}

// skipMessage says what a rule guards and a rollback skips.
func skipMessage(s approval.Skip, pipelineName string) string {
	return fmt.Sprintf("approval rule %q guards stage %s of pipeline %s, and on_rollback.%s lets automatic rollbacks of the stage skip its %s",
		s.Rule, s.Stage, pipelineName, s.Field, skipped(s))
}

// skipped names the gates that a rollback skips.
func skipped(s approval.Skip) string {
	return strings.TrimPrefix(s.Field, "skip_")
}

// lostWarnings warns of what rules no longer guard.
func lostWarnings(lost []approval.Part, pipelineName string) []Warning {
	warnings := make([]Warning, len(lost))
	for i, part := range lost {
		warnings[i] = Warning{
			Reason: pipeline.ReasonGuardRemoved, Rule: part.Rule, Lost: &approval.Guard{Pipeline: pipelineName, Part: part},
			Message: fmt.Sprintf(
				"rule %s no longer guards %s of pipeline %s; this change removes or renames it: if it was renamed, add the new name to the rule",
				part.Rule, part, pipelineName),
		}
	}
	return bounded(warnings)
}

// bounded keeps a list of warnings to what somebody reads.
func bounded(warnings []Warning) []Warning {
	if more := len(warnings) - maxViolations; more > 0 {
		warnings = append(warnings[:maxViolations:maxViolations], Warning{Message: fmt.Sprintf("and %d more", more)})
	}
	return warnings
}
