package service

import (
	"context"
	"errors"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/engine"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// StepRefusal says why a retry or an override is not possible now, in the words of the
// refusal of the call.
type StepRefusal struct {
	Kind      engine.StepKind
	Stage     string
	Condition pipeline.ConditionKind
	// ApprovalID names the wait that the caller may not decide on, although others may.
	ApprovalID string
	Reason     pipeline.Reason
	Message    string
}

// next adds to an explanation what can be done about an execution, and why not more. It
// checks what the calls check: those that bring an execution back need room for it.
func (x *Explanations) next(ctx context.Context, r store.Reader, scope *engine.Scope, e *execution.Execution, found *Explanation) error {
	p, err := r.Pipeline(ctx, e.Account, e.Pipeline)
	if err != nil {
		return err
	}
	steps, refusals := engine.Next(scope, e, p.Version, x.config.Clock())
	for _, refused := range refusals {
		found.refuse(StepRefusal{Kind: refused.Kind, Stage: refused.Stage, Condition: refused.Condition}, engineRefusal(refused.Err))
	}
	if !e.Status.Terminal() {
		found.Steps = steps
		return nil
	}
	var full *Error
	if err := hasRoom(ctx, r, &p, e.Mode); err != nil && !errors.As(err, &full) {
		return err
	}
	if full == nil {
		found.Steps = steps
		return x.startAgain(ctx, r, &p, e, found)
	}
	for _, step := range steps {
		// Both modes of a retry have one reason.
		if !slices.ContainsFunc(found.Refusals, func(r StepRefusal) bool { return r.Kind == step.Kind }) {
			found.refuse(StepRefusal{Kind: step.Kind, Stage: step.Stage, Condition: step.Condition}, full)
		}
	}
	return nil
}

func (e *Explanation) refuse(refusal StepRefusal, err error) {
	refusal.Message = err.Error()
	var refused *Error
	if errors.As(err, &refused) {
		refusal.Reason, refusal.Message = refused.Reason, refused.Message
	}
	e.Refusals = append(e.Refusals, refusal)
}

// limit removes the steps that the caller's role does not allow, and says why. Decisions
// stay, since other people can take them, with the reason why the caller cannot.
func (e *Explanation) limit(who auth.Identity, of *execution.Execution, scope *engine.Scope) {
	denied := authorize(who, auth.Deploy, of.Account)
	steps := make([]engine.Step, 0, len(e.Steps))
	for _, step := range e.Steps {
		refused := StepRefusal{Kind: step.Kind, Stage: step.Stage, Condition: step.Condition}
		err := denied
		if step.Kind == engine.StepDecide {
			refused.ApprovalID = step.ApprovalID
			if err = authorize(who, auth.Approve, of.Account); err == nil {
				step.RequiresComment, err = mayDecide(who, scope, step)
			}
			steps = append(steps, step)
		}
		switch {
		case err == nil && step.Kind != engine.StepDecide:
			steps = append(steps, step)
		case err != nil && !slices.ContainsFunc(e.Refusals, refused.same):
			e.refuse(refused, err)
		}
	}
	e.Steps = steps
}

// RolesForSteps returns the roles that allow one of the steps at least, the weakest first.
func RolesForSteps(steps []engine.StepKind) (roles []auth.Role) {
	for _, step := range steps {
		permission := auth.Deploy
		if step == engine.StepDecide {
			permission = auth.Approve
		}
		for _, role := range auth.RolesWith(permission) {
			if !slices.Contains(roles, role) {
				roles = append(roles, role)
			}
		}
	}
	return roles
}

// same tells whether two refusals are of the same step.
func (r StepRefusal) same(other StepRefusal) bool {
	return r.Kind == other.Kind && r.Stage == other.Stage && r.Condition == other.Condition && r.ApprovalID == other.ApprovalID
}

// mayDecide says whether the caller needs a comment to take a decision that is offered,
// or why the caller may not take it.
func mayDecide(who auth.Identity, scope *engine.Scope, step engine.Step) (comment bool, err error) {
	comment, err = engine.MayDecide(scope.Find(step.ExecutionID), step.ApprovalID, who.Principal, who.Groups)
	if err != nil {
		return step.RequiresComment, engineRefusal(err)
	}
	return comment, nil
}

// startAgain offers a new execution instead of one that did not succeed, with the
// variables that it was given, if the newest version takes them.
func (x *Explanations) startAgain(ctx context.Context, r store.Reader, p *definition.Pipeline, e *execution.Execution, found *Explanation) error {
	switch e.Status {
	case pipeline.Failed, pipeline.Stopped, pipeline.Cancelled:
	default:
		return nil
	}
	if e.Type == pipeline.TypeRollback || p.Version == 0 {
		return nil
	}
	def, err := x.config.Loop.Definition(ctx, r, p.ID, p.Version)
	if err != nil {
		return err
	}
	if err := hasRoom(ctx, r, p, def.Mode()); err != nil {
		var full *Error
		if errors.As(err, &full) {
			return nil
		}
		return err
	}
	given := make(map[string]string)
	for i := range def.Variables {
		variable := &def.Variables[i]
		value, known := e.Variables[variable.Name]
		if known && (variable.DefaultValue == nil || *variable.DefaultValue != value) {
			given[variable.Name] = value
		}
	}
	if _, err := pipeline.ValidateVariables(def, given); err == nil {
		found.Steps = append(found.Steps, engine.Step{Kind: engine.StepStart, Variables: given})
	}
	return nil
}
