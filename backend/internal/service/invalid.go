package service

import (
	"errors"
	"fmt"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxViolations bounds what one answer lists: it travels in headers.
const maxViolations = 100

// Invalid refuses a request with the fields that are wrong. Paths start at the
// request.
func Invalid(reason pipeline.Reason, violations ...pipeline.Violation) *Error {
	if more := len(violations) - maxViolations; more > 0 {
		violations = append(violations[:maxViolations:maxViolations], pipeline.Violation{
			Message: fmt.Sprintf("and %d more", more),
		})
	}
	lines := (&pipeline.ValidationError{Violations: violations}).Error()
	message := lines
	if len(violations) > 1 {
		message = fmt.Sprintf("%d rules are broken:\n%s", len(violations), lines)
	}
	return &Error{Kind: KindInvalid, Reason: reason, Message: message, Violations: violations}
}

// invalidField refuses one field.
func invalidField(path pipeline.Path, message string) *Error {
	return Invalid("", pipeline.Violation{Path: path, Message: message})
}

// invalidDefinition turns a *pipeline.ValidationError into a refusal. Steps at
// the start of a path that tell only where the definition stood when it was
// checked, as many as inner has, are replaced by outer. Other errors and nil are
// returned as they are.
func invalidDefinition(err error, inner, outer pipeline.Path) error {
	var broken *pipeline.ValidationError
	if !errors.As(err, &broken) {
		return err
	}
	prefix := inner.String()
	violations := make([]pipeline.Violation, 0, len(broken.Violations))
	for _, v := range broken.Violations {
		path := v.Path
		if prefix != "" && strings.HasPrefix(path.String(), prefix) {
			path = path[len(inner):]
		}
		path = append(outer[:len(outer):len(outer)], path...)
		violations = append(violations, pipeline.Violation{Path: path, Message: v.Message})
	}
	return Invalid(pipeline.ReasonInvalidDefinition, violations...)
}

// validate refuses a definition that is wrong, or names connections of other accounts.
func validate(account string, def *pipeline.Definition, catalog *pipeline.Catalog) error {
	err := pipeline.Validate(def, catalog)
	foreign := pipeline.ForeignConnections(account, def, catalog)
	if len(foreign) == 0 {
		return err
	}
	var broken *pipeline.ValidationError
	if errors.As(err, &broken) {
		foreign = append(broken.Violations[:len(broken.Violations):len(broken.Violations)], foreign...)
	}
	return &pipeline.ValidationError{Violations: foreign}
}

// requestPath names a field of a request.
func requestPath(fields ...string) pipeline.Path {
	var path pipeline.Path
	for _, field := range fields {
		path = path.Field(field)
	}
	return path
}

// checkReason checks why somebody did something, which lists show on one line.
func checkReason(reason string) error {
	if err := pipeline.CheckLine("the reason", reason); err != nil {
		return invalidField(requestPath("reason"), err.Error())
	}
	return nil
}
