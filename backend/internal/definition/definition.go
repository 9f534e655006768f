// Package definition holds the records of declared pipelines with their versions and of
// secrets, and what follows from a record alone. It must never do I/O.
package definition

import (
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Pipeline is a pipeline as declared.
type Pipeline struct {
	ID      string
	Account string
	Name    string
	// Composed pipelines keep their parts in Draft, inline ones in Definition.
	Composed bool
	// Explicit composed pipelines publish only on request.
	Explicit bool
	// Definition is the declared definition, without stages if the pipeline is composed.
	Definition pipeline.Definition
	// Draft holds the stages of a composed pipeline by place.
	Draft []DraftStage
	// Version is the newest version, 0 for none; Digest is that version's.
	Version int64
	Digest  string
	// Revision changes with every write.
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// DraftStage is a stage of a composed pipeline.
type DraftStage struct {
	Order int            `json:"order"`
	Stage pipeline.Stage `json:"stage"`
}

// Version is one immutable definition.
type Version struct {
	PipelineID string
	Version    int64
	Definition pipeline.Definition
	Digest     string
	Principal  string
	CreatedAt  time.Time
}

// Etag returns the etag that a write of the pipeline must match. It depends on the declared
// settings instead of the revision: a change of a part or a new version does not conflict
// with a change of the settings.
func (p *Pipeline) Etag() string {
	etag := pipeline.Digest(&p.Definition)[:16]
	if p.Explicit {
		etag += "-explicit"
	}
	return etag
}

// Declared returns the definition that a version of the pipeline would have now: the stages
// of a composed pipeline come from its draft.
func (p *Pipeline) Declared() *pipeline.Definition {
	def := p.Definition
	if p.Composed {
		def.Stages = make([]pipeline.Stage, len(p.Draft))
		for i := range p.Draft {
			def.Stages[i] = p.Draft[i].Stage
		}
	}
	return &def
}

// Changed reports whether parts of a composed pipeline changed since its newest version.
func (p *Pipeline) Changed() bool {
	return p.Composed && (p.Version > 0 || len(p.Draft) > 0) && pipeline.Digest(p.Declared()) != p.Digest
}
