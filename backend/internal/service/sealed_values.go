package service

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// sealedBinding is the object that secret values of a pipeline's configuration belong to.
func sealedBinding(account, name string) string {
	return pipelineName(account, name) + "/configuration"
}

// OpenSealed returns a secret value of the configuration of a pipeline's action.
func OpenSealed(ctx context.Context, opener Sealer, account, name, sealed string) (string, error) {
	ciphertext, ok := pipeline.SealedCiphertext(sealed)
	if !ok {
		return "", errors.New("the value is not sealed; publish the pipeline again with the value itself")
	}
	value, err := opener.Open(ctx, ciphertext, sealedBinding(account, name))
	return string(value), err
}

// sealDefinition seals the secret values of a definition, except for those that validation
// refuses. Path is where the definition is in the request.
func (c *PipelinesConfig) sealDefinition(ctx context.Context, in *PipelineInput, path pipeline.Path) error {
	values := &sealing{config: c, account: in.Account, name: in.Name, dry: in.ValidateOnly}
	stages := make([]pipeline.Stage, len(in.Definition.Stages))
	for i := range stages {
		stages[i] = in.Definition.Stages[i]
		actions := make([]pipeline.Action, len(stages[i].Actions))
		for j := range actions {
			actions[j] = stages[i].Actions[j]
			if err := values.seal(ctx, &actions[j], path.At("stages", i).At("actions", j)); err != nil {
				return err
			}
		}
		if len(actions) > 0 {
			stages[i].Actions = actions
		}
	}
	if values.read {
		in.Definition.Stages = stages
	}
	return nil
}

// sealAction seals the secret values of a valid action of a composed pipeline.
func (c *PipelinesConfig) sealAction(ctx context.Context, part *ActionPart, dry bool) error {
	values := &sealing{config: c, account: part.Account, name: part.Pipeline, dry: dry}
	return values.seal(ctx, &part.Action, requestPath("action", "action"))
}

// sealing seals what one request brings. It reads what the pipeline holds with the first
// secret value, since few pipelines have one.
type sealing struct {
	config        *PipelinesConfig
	account, name string
	dry           bool
	read          bool
	// held are the stored forms in the pipeline.
	held []string
}

// seal replaces the secret values of an action. A value that the pipeline holds keeps its
// stored form, so that the same definition makes no new version. The reference of one, which
// is what callers read, stands for it.
func (s *sealing) seal(ctx context.Context, a *pipeline.Action, path pipeline.Path) error {
	kind, _ := s.config.Catalog.Lookup(a.TypeID())
	cloned := false
	for _, p := range kind.Properties {
		value, given := a.Configuration[p.Name]
		if !p.Secret || !given || !p.Accepts(value) {
			continue
		}
		if err := s.load(ctx); err != nil {
			return err
		}
		if !cloned {
			a.Configuration, cloned = maps.Clone(a.Configuration), true
		}
		stored, err := s.stored(ctx, value, path.Entry("configuration", p.Name))
		if err != nil {
			return err
		}
		a.Configuration[p.Name] = stored
	}
	return nil
}

// stored returns the stored form of a value or a reference.
func (s *sealing) stored(ctx context.Context, value string, path pipeline.Path) (string, error) {
	reference := pipeline.SealedReference(value)
	for _, held := range s.held {
		if pipeline.IsSealed(value) && pipeline.SealedReference(held) == reference || pipeline.SealedIs(held, value) {
			return held, nil
		}
	}
	if pipeline.IsSealed(value) {
		return "", invalidField(path, "the reference of a secret value that the pipeline does not hold; write the value itself")
	}
	ciphertext := []byte("not sealed")
	if !s.dry {
		var err error
		ciphertext, err = s.config.Sealer.Seal(ctx, []byte(value), sealedBinding(s.account, s.name))
		if errors.Is(err, sealer.ErrNoKey) {
			return "", refuse(KindPrecondition, pipeline.ReasonNoSealingKey, "the server cannot seal the value: %v", err)
		}
		if err != nil {
			return "", err
		}
	}
	salt := make([]byte, pipeline.SealedSaltBytes)
	// It never fails.
	_, _ = rand.Read(salt)
	stored, err := pipeline.Sealed(value, salt, ciphertext)
	if err == nil {
		s.held = append(s.held, stored)
	}
	return stored, err
}

// load reads the stored forms in the pipeline, outside of the transaction of the write, since
// sealing may not be in one. A form stays valid whatever is written between.
func (s *sealing) load(ctx context.Context) error {
	if s.read {
		return nil
	}
	var p definition.Pipeline
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		p, err = r.Pipeline(ctx, s.account, s.name)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	s.read = true
	stages := p.Definition.Stages
	for i := range p.Draft {
		stages = append(stages[:len(stages):len(stages)], p.Draft[i].Stage)
	}
	for i := range stages {
		for j := range stages[i].Actions {
			for _, value := range stages[i].Actions[j].Configuration {
				if pipeline.IsSealed(value) {
					s.held = append(s.held, value)
				}
			}
		}
	}
	return nil
}
