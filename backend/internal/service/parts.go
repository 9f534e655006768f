package service

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/loop"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// A draft may hold more than a version does, while parts move, but not without
// bound.
const (
	maxDraftStages  = 100
	maxDraftActions = 100
)

// Parts are the use cases of the stages and actions of composed pipelines.
type Parts struct {
	config PipelinesConfig
}

// NewParts returns the use cases of parts.
func NewParts(config PipelinesConfig) *Parts { return &Parts{config: config} }

// StagePart is a stage of a composed pipeline as an object of its own.
type StagePart struct {
	Account  string
	Pipeline string
	// Order is the place among the stages, unique in the pipeline.
	Order int
	// Stage holds no actions: they are objects of their own.
	Stage pipeline.Stage
	// Warnings are set after a write.
	Warnings []Warning
}

// ActionPart is an action of a composed pipeline as an object of its own.
type ActionPart struct {
	Account  string
	Pipeline string
	Stage    string
	Action   pipeline.Action
	// Warnings are set after a write.
	Warnings []Warning
}

// name returns the resource name of the stage.
func (p *StagePart) name() string { return stageName(p.Account, p.Pipeline, p.Stage.Name) }

// name returns the resource name of the action.
func (p *ActionPart) name() string {
	return actionName(p.Account, p.Pipeline, p.Stage, p.Action.Name)
}

// sameIn tells whether the draft has an equal stage, and nothing was added to it.
func (p *StagePart) sameIn(d *draft) bool {
	existing, err := d.stagePart(p.Account, p.Stage.Name)
	return err == nil && existing.Etag() == p.Etag() && len(d.find(p.Stage.Name).Stage.Actions) == 0
}

// sameIn tells whether the draft has an equal action.
func (p *ActionPart) sameIn(d *draft) bool {
	existing, err := d.actionPart(p.Account, p.Stage, p.Action.Name)
	return err == nil && existing.Etag() == p.Etag()
}

// Etag changes with the content of the part, not with that of its neighbours.
func (p *StagePart) Etag() string {
	stage := p.Stage
	stage.Actions = nil
	return strconv.Itoa(p.Order) + "-" + pipeline.Digest(&pipeline.Definition{Stages: []pipeline.Stage{stage}})[:16]
}

// Etag changes with the content of the part, not with that of its neighbours.
func (p *ActionPart) Etag() string {
	return pipeline.Digest(&pipeline.Definition{Stages: []pipeline.Stage{{Actions: []pipeline.Action{p.Action}}}})[:16]
}

// CreateStage adds a stage to a composed pipeline.
func (s *Parts) CreateStage(
	ctx context.Context, who auth.Identity, part StagePart, requestID string, validateOnly bool,
) (StagePart, error) {
	name := part.name()
	repeat := request{part.Account, "CreateStage", requestID, name, who.Principal}
	if err := s.checkStage(who, &part); err != nil {
		return StagePart{}, fmt.Errorf("create stage %q: %w", name, err)
	}
	edited, err := s.edit(ctx, who, part.Account, part.Pipeline, repeat, part.sameIn, validateOnly, func(draft *draft) error {
		if draft.find(part.Stage.Name) != nil {
			return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
				"stage %q exists in pipeline %q; import it, or choose another name", part.Stage.Name, part.Pipeline)
		}
		if len(draft.stages) >= maxDraftStages {
			return refuse(KindExhausted, pipeline.ReasonLimitExceeded, "pipeline %q has %d stages already; remove some", part.Pipeline, maxDraftStages)
		}
		draft.stages = append(draft.stages, definition.DraftStage{Order: part.Order, Stage: pipeline.Stage{Name: part.Stage.Name}})
		putStage(draft, &part)
		return nil
	})
	if err != nil {
		return StagePart{}, fmt.Errorf("create stage %q: %w", name, err)
	}
	return s.writtenStage(ctx, edited, &part)
}

// GetStage returns a stage of a composed pipeline.
func (s *Parts) GetStage(ctx context.Context, who auth.Identity, account, name, stage string) (StagePart, error) {
	found, err := s.readDraft(ctx, who, account, name)
	if err != nil {
		return StagePart{}, fmt.Errorf("get stage %q of pipeline %q: %w", stage, name, err)
	}
	return found.stagePart(account, stage)
}

// UpdateStage replaces the settings of a stage; its actions stay.
func (s *Parts) UpdateStage(
	ctx context.Context, who auth.Identity, part StagePart, etag string, validateOnly bool, check Check[StagePart],
) (StagePart, error) {
	if err := s.checkStage(who, &part); err != nil {
		return StagePart{}, fmt.Errorf("update stage %q: %w", part.Stage.Name, err)
	}
	edited, err := s.edit(ctx, who, part.Account, part.Pipeline, changes(part.name()), nil, validateOnly, func(draft *draft) error {
		if err := draft.matchStage(part.Stage.Name, etag); err != nil {
			return err
		}
		before, err := draft.stagePart(part.Account, part.Stage.Name)
		if err != nil {
			return err
		}
		if err := check.allows(before, part); err != nil {
			return err
		}
		putStage(draft, &part)
		return nil
	})
	if err != nil {
		return StagePart{}, fmt.Errorf("update stage %q: %w", part.Stage.Name, err)
	}
	return s.writtenStage(ctx, edited, &part)
}

// DeleteStage removes a stage that holds no action any more.
func (s *Parts) DeleteStage(ctx context.Context, who auth.Identity, account, name, stage, etag string) ([]Warning, error) {
	edited, err := s.edit(ctx, who, account, name, changes(stageName(account, name, stage)), nil, false, func(draft *draft) error {
		if err := draft.matchStage(stage, etag); err != nil {
			return err
		}
		if actions := draft.find(stage).Stage.Actions; len(actions) > 0 {
			names := make([]string, len(actions))
			for i := range actions {
				names[i] = strconv.Quote(actions[i].Name)
			}
			return refuse(KindPrecondition, pipeline.ReasonStageNotEmpty, "stage %q of pipeline %q still has the actions %s; delete them first",
				stage, name, strings.Join(names, ", "))
		}
		draft.stages = slices.DeleteFunc(draft.stages, func(d definition.DraftStage) bool { return d.Stage.Name == stage })
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("delete stage %q: %w", stage, err)
	}
	return edited.warnings, nil
}

// CreateAction adds an action to a stage of a composed pipeline.
func (s *Parts) CreateAction(
	ctx context.Context, who auth.Identity, part ActionPart, requestID string, validateOnly bool,
) (ActionPart, error) {
	name := part.name()
	repeat := request{part.Account, "CreateAction", requestID, name, who.Principal}
	if err := s.checkAction(who, &part); err != nil {
		return ActionPart{}, fmt.Errorf("create action %q: %w", name, err)
	}
	if err := s.config.sealAction(ctx, &part, validateOnly); err != nil {
		return ActionPart{}, fmt.Errorf("create action %q: %w", name, err)
	}
	edited, err := s.edit(ctx, who, part.Account, part.Pipeline, repeat, part.sameIn, validateOnly, func(draft *draft) error {
		stage, err := draft.stage(part.Stage)
		if err != nil {
			return err
		}
		if stage.Action(part.Action.Name) != nil {
			return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
				"action %q exists in stage %q; import it, or choose another name", part.Action.Name, part.Stage)
		}
		if len(stage.Actions) >= maxDraftActions {
			return refuse(KindExhausted, pipeline.ReasonLimitExceeded, "stage %q has %d actions already; remove some", part.Stage, maxDraftActions)
		}
		stage.Actions = append(stage.Actions, part.Action)
		sortActions(stage.Actions)
		return nil
	})
	if err != nil {
		return ActionPart{}, fmt.Errorf("create action %q: %w", name, err)
	}
	return s.writtenAction(ctx, edited, &part)
}

// GetAction returns an action of a composed pipeline.
func (s *Parts) GetAction(ctx context.Context, who auth.Identity, account, name, stage, action string) (ActionPart, error) {
	found, err := s.readDraft(ctx, who, account, name)
	if err != nil {
		return ActionPart{}, fmt.Errorf("get action %q of stage %q of pipeline %q: %w", action, stage, name, err)
	}
	return found.actionPart(account, stage, action)
}

// UpdateAction replaces an action.
func (s *Parts) UpdateAction(
	ctx context.Context, who auth.Identity, part ActionPart, etag string, validateOnly bool, check Check[ActionPart],
) (ActionPart, error) {
	if err := s.checkAction(who, &part); err != nil {
		return ActionPart{}, fmt.Errorf("update action %q: %w", part.Action.Name, err)
	}
	if err := s.config.sealAction(ctx, &part, validateOnly); err != nil {
		return ActionPart{}, fmt.Errorf("update action %q: %w", part.Action.Name, err)
	}
	edited, err := s.edit(ctx, who, part.Account, part.Pipeline, changes(part.name()), nil, validateOnly, func(draft *draft) error {
		stage, err := draft.matchAction(part.Stage, part.Action.Name, etag)
		if err != nil {
			return err
		}
		before := part
		before.Action = *stage.Action(part.Action.Name)
		if err := check.allows(before, part); err != nil {
			return err
		}
		*stage.Action(part.Action.Name) = part.Action
		sortActions(stage.Actions)
		return nil
	})
	if err != nil {
		return ActionPart{}, fmt.Errorf("update action %q: %w", part.Action.Name, err)
	}
	return s.writtenAction(ctx, edited, &part)
}

// DeleteAction removes an action.
func (s *Parts) DeleteAction(ctx context.Context, who auth.Identity, account, name, stage, action, etag string) ([]Warning, error) {
	edited, err := s.edit(ctx, who, account, name, changes(actionName(account, name, stage, action)), nil, false, func(draft *draft) error {
		found, err := draft.matchAction(stage, action, etag)
		if err != nil {
			return err
		}
		found.Actions = slices.DeleteFunc(found.Actions, func(a pipeline.Action) bool { return a.Name == action })
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("delete action %q: %w", action, err)
	}
	return edited.warnings, nil
}

// edit changes the parts of a composed pipeline, and publishes where the result
// is whole and the pipeline's policy says so. It returns the parts as they are then,
// before anybody else changes them. A create passes same, which tells whether the draft
// has the part that it asks for already.
func (s *Parts) edit(
	ctx context.Context, who auth.Identity, account, name string, repeat request, same func(*draft) bool,
	validateOnly bool, change func(*draft) error,
) (*draft, error) {
	if err := authorize(who, auth.Deploy, account); err != nil {
		return nil, err
	}
	now := s.config.Clock()
	var edited *draft
	err := update(ctx, s.config.Loop.Submit, validateOnly, func(ctx context.Context, tx *loop.Tx) error {
		done, err := repeat.done(ctx, tx)
		if err != nil {
			return err
		}
		p, err := findComposed(ctx, tx, account, name)
		if err != nil {
			return err
		}
		edited = newDraft(&p)
		if done {
			return nil
		}
		if same != nil && same(edited) {
			if adopted, err := repeat.adopt(ctx, tx, partMark(&p), now); err != nil || adopted {
				return err
			}
		}
		before := p
		if err := change(edited); err != nil {
			return err
		}
		p.Draft = edited.stages
		if edited.warnings, err = savePipeline(ctx, tx, &s.config, who, &before, &p, now); err != nil {
			return err
		}
		if err := repeat.remember(ctx, tx, partMark(&p), now); err != nil {
			return err
		}
		return repeat.save(ctx, tx, now)
	})
	return edited, err
}

// writtenStage returns a stage that was written, with the secrets that it lacks.
func (s *Parts) writtenStage(ctx context.Context, edited *draft, part *StagePart) (StagePart, error) {
	written, err := edited.stagePart(part.Account, part.Stage.Name)
	if err != nil {
		return StagePart{}, err
	}
	alone := &pipeline.Definition{Stages: []pipeline.Stage{written.Stage}}
	written.Warnings = slices.Concat(written.Warnings,
		missingSecrets(ctx, s.config.Store, part.Account, alone, pipeline.Path(nil).At("stages", 0), requestPath("stage")),
		notIsolated(s.config.NotIsolated, alone, pipeline.Path(nil).At("stages", 0), requestPath("stage")))
	return written, nil
}

// writtenAction is writtenStage for an action.
func (s *Parts) writtenAction(ctx context.Context, edited *draft, part *ActionPart) (ActionPart, error) {
	written, err := edited.actionPart(part.Account, part.Stage, part.Action.Name)
	if err != nil {
		return ActionPart{}, err
	}
	alone := &pipeline.Definition{Stages: []pipeline.Stage{{Name: part.Stage, Actions: []pipeline.Action{written.Action}}}}
	written.Warnings = slices.Concat(written.Warnings,
		missingSecrets(ctx, s.config.Store, part.Account, alone, pipeline.Path(nil).At("stages", 0).At("actions", 0), requestPath("action")),
		notIsolated(s.config.NotIsolated, alone, pipeline.Path(nil).At("stages", 0).At("actions", 0), requestPath("action")))
	return written, nil
}

// putStage writes the settings of a stage that is in the draft.
func putStage(draft *draft, part *StagePart) {
	found := draft.find(part.Stage.Name)
	actions := found.Stage.Actions
	found.Order, found.Stage = part.Order, part.Stage
	found.Stage.Actions = actions
	slices.SortFunc(draft.stages, func(a, b definition.DraftStage) int {
		return cmp.Or(a.Order-b.Order, cmp.Compare(a.Stage.Name, b.Stage.Name))
	})
}

// The validator takes parts that are not known yet for any number of parts, and
// gives every rule that needs them the benefit of the doubt. So it says of one
// part what is wrong whatever the others are. That comes before the look at the draft: a plan
// asks about parts of a pipeline that does not exist yet.

func (s *Parts) checkStage(who auth.Identity, part *StagePart) error {
	if err := authorize(who, auth.Deploy, part.Account); err != nil {
		return err
	}
	if len(part.Stage.Actions) > 0 {
		return invalidField(requestPath("stage", "actions"), "the actions of a composed pipeline are objects of their own (headrace_action)")
	}
	stage := part.Stage
	stage.Actions = []pipeline.Action{{Name: pipeline.Unknown}}
	return invalidDefinition(pipeline.Validate(among(stage), s.config.Catalog), pipeline.Path(nil).At("stages", 1), requestPath("stage"))
}

func (s *Parts) checkAction(who auth.Identity, part *ActionPart) error {
	if err := authorize(who, auth.Deploy, part.Account); err != nil {
		return err
	}
	unknown := pipeline.Action{Name: pipeline.Unknown}
	stage := pipeline.Stage{Name: part.Stage, Actions: []pipeline.Action{unknown, part.Action, unknown}}
	inner := pipeline.Path(nil).At("stages", 1).At("actions", 1)
	return invalidDefinition(validate(part.Account, among(stage), s.config.Catalog), inner, requestPath("action", "action"))
}

func among(stage pipeline.Stage) *pipeline.Definition {
	unknown := pipeline.Stage{Name: pipeline.Unknown}
	return &pipeline.Definition{
		Variables: []pipeline.Variable{{Name: pipeline.Unknown}},
		Stages:    []pipeline.Stage{unknown, stage, unknown},
	}
}

func (s *Parts) readDraft(ctx context.Context, who auth.Identity, account, name string) (*draft, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, err
	}
	var found *draft
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		p, err := findComposed(ctx, r, account, name)
		found = newDraft(&p)
		return err
	})
	return found, err
}

// findComposed returns a composed pipeline.
func findComposed(ctx context.Context, r store.DefinitionReader, account, name string) (definition.Pipeline, error) {
	p, err := findPipeline(ctx, r, account, name)
	if err == nil && !p.Composed {
		return p, refuse(KindPrecondition, pipeline.ReasonCompositionMismatch,
			"pipeline %q is inline: its stages and actions are part of it; change them there", name)
	}
	return p, err
}

// draft is the parts of a pipeline, copied so that they can be changed.
type draft struct {
	pipeline string
	stages   []definition.DraftStage
	// warnings are about the version that the edit published.
	warnings []Warning
}

func newDraft(p *definition.Pipeline) *draft {
	d := &draft{pipeline: p.Name, stages: slices.Clone(p.Draft)}
	for i := range d.stages {
		d.stages[i].Stage.Actions = slices.Clone(d.stages[i].Stage.Actions)
	}
	return d
}

func (d *draft) find(stage string) *definition.DraftStage {
	for i := range d.stages {
		if d.stages[i].Stage.Name == stage {
			return &d.stages[i]
		}
	}
	return nil
}

func (d *draft) stage(stage string) (*pipeline.Stage, error) {
	found := d.find(stage)
	if found == nil {
		return nil, stageNotFound(d.pipeline, stage)
	}
	return &found.Stage, nil
}

// stagePart returns a stage as an object of its own.
func (d *draft) stagePart(account, stage string) (StagePart, error) {
	found := d.find(stage)
	if found == nil {
		return StagePart{}, stageNotFound(d.pipeline, stage)
	}
	part := StagePart{Account: account, Pipeline: d.pipeline, Order: found.Order, Stage: found.Stage, Warnings: d.warnings}
	part.Stage.Actions = nil
	return part, nil
}

// actionPart returns an action as an object of its own.
func (d *draft) actionPart(account, stage, action string) (ActionPart, error) {
	found, err := d.stage(stage)
	if err != nil {
		return ActionPart{}, err
	}
	a := found.Action(action)
	if a == nil {
		return ActionPart{}, actionNotFound(stage, action)
	}
	return ActionPart{Account: account, Pipeline: d.pipeline, Stage: stage, Action: *a, Warnings: d.warnings}, nil
}

// matchStage refuses a stage that is not there or is not what the caller read.
func (d *draft) matchStage(stage, etag string) error {
	found := d.find(stage)
	if found == nil {
		return stageNotFound(d.pipeline, stage)
	}
	part := StagePart{Order: found.Order, Stage: found.Stage}
	return matchPart("stage", stage, part.Etag(), etag)
}

// matchAction returns the stage of an action that is what the caller read.
func (d *draft) matchAction(stage, action, etag string) (*pipeline.Stage, error) {
	found, err := d.stage(stage)
	if err != nil {
		return nil, err
	}
	a := found.Action(action)
	if a == nil {
		return nil, actionNotFound(stage, action)
	}
	part := ActionPart{Action: *a}
	return found, matchPart("action", action, part.Etag(), etag)
}

func matchPart(kind, name, have, want string) error {
	if want == "" || have == want {
		return nil
	}
	return refuse(KindConflict, pipeline.ReasonEtagMismatch,
		"%s %q changed since it was read: read it again and retry", kind, name)
}

// sortActions gives a definition one form however its parts came: by run order,
// then by name.
func sortActions(actions []pipeline.Action) {
	slices.SortFunc(actions, func(a, b pipeline.Action) int {
		return cmp.Or(a.Order()-b.Order(), cmp.Compare(a.Name, b.Name))
	})
}

func stageNotFound(name, stage string) *Error {
	return refuse(KindNotFound, pipeline.ReasonNotFound, "stage %q does not exist in pipeline %q", stage, name)
}

func actionNotFound(stage, action string) *Error {
	return refuse(KindNotFound, pipeline.ReasonNotFound, "action %q does not exist in stage %q", action, stage)
}

// changes is the write of a part that exists, which no create is answered with any more.
func changes(resource string) request { return request{resource: resource} }
