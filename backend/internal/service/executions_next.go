package service

import (
	"context"
	"errors"
	"slices"

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
	Reason    pipeline.Reason
	Message   string
}

// next adds to an explanation what can be done about an execution, and why not more. It
// checks what the calls check: those that bring an execution back need room for it.
func (x *Executions) next(ctx context.Context, r store.Reader, scope *cachedScope, e *execution.Execution, found *Explanation) error {
	p, err := r.Pipeline(ctx, e.Account, e.Pipeline)
	if err != nil {
		return err
	}
	if err := x.know(ctx, r, scope, e.Version); err != nil {
		return err
	}
	steps, refusals := engine.Next(&scope.Scope, e, p.Version, x.Clock())
	for _, refused := range refusals {
		found.refuse(refused, engineRefusal(refused.Err))
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
			found.refuse(engine.StepRefusal{Kind: step.Kind, Stage: step.Stage, Condition: step.Condition}, full)
		}
	}
	return nil
}

func (e *Explanation) refuse(step engine.StepRefusal, err error) {
	refusal := StepRefusal{Kind: step.Kind, Stage: step.Stage, Condition: step.Condition, Message: err.Error()}
	var refused *Error
	if errors.As(err, &refused) {
		refusal.Reason, refusal.Message = refused.Reason, refused.Message
	}
	e.Refusals = append(e.Refusals, refusal)
}

// startAgain offers a new execution in the place of one that did not succeed, with the
// variables that it was given, if the newest version takes them.
func (x *Executions) startAgain(ctx context.Context, r store.Reader, p *store.Pipeline, e *execution.Execution, found *Explanation) error {
	switch e.Status {
	case pipeline.Failed, pipeline.Stopped, pipeline.Cancelled:
	default:
		return nil
	}
	if e.Type == pipeline.TypeRollback || p.Version == 0 {
		return nil
	}
	def, err := x.definition(ctx, r, p.ID, p.Version)
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
