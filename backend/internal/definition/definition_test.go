package definition_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func TestEtagDependsOnTheDeclaredSettings(t *testing.T) {
	t.Parallel()
	p := definition.Pipeline{Name: "web", Composed: true, Revision: 1}
	etag := p.Etag()
	p.Revision, p.Version, p.Digest = 7, 3, "abc"
	p.Draft = []definition.DraftStage{{Order: 1, Stage: pipeline.Stage{Name: "Build"}}}
	require.Equal(t, etag, p.Etag(), "parts and versions are not settings of the pipeline")
	p.Explicit = true
	require.NotEqual(t, etag, p.Etag())
	p.Explicit, p.Definition.Description = false, "changed"
	require.NotEqual(t, etag, p.Etag())
}

func TestComposedPipelineDeclaresItsDraft(t *testing.T) {
	t.Parallel()
	p := definition.Pipeline{Name: "web", Composed: true}
	require.False(t, p.Changed(), "it has no parts yet")
	p.Draft = []definition.DraftStage{{Order: 1, Stage: pipeline.Stage{Name: "Build"}}, {Order: 2, Stage: pipeline.Stage{Name: "Deploy"}}}
	require.True(t, p.Changed())
	declared := p.Declared()
	require.Equal(t, []string{"Build", "Deploy"}, []string{declared.Stages[0].Name, declared.Stages[1].Name})
	require.Empty(t, p.Definition.Stages, "the record itself did not change")
	p.Version, p.Digest = 1, pipeline.Digest(declared)
	require.False(t, p.Changed())
	p.Draft = nil
	require.True(t, p.Changed(), "the version has stages that were removed")
}

func TestInlinePipelineIsNeverAheadOfItsVersion(t *testing.T) {
	t.Parallel()
	p := definition.Pipeline{Name: "web", Definition: pipeline.Definition{Stages: []pipeline.Stage{{Name: "Build"}}}}
	require.False(t, p.Changed())
	require.Equal(t, &p.Definition, p.Declared())
}
