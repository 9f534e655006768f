package service

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// TestForgottenDeletionsBeginASnapshot holds that a board remembers few deletions, and that a
// stream which was too slow for one that is forgotten begins again.
func TestForgottenDeletionsBeginASnapshot(t *testing.T) {
	t.Parallel()
	b := &board{
		changed: make(chan struct{}), pipelines: make(map[string]*shownPipeline), marks: make(map[string]store.PipelineMark),
		shapes: make(map[string]*pipelineShape),
	}
	shows := func(ids ...string) {
		found := &sight{}
		for _, id := range ids {
			mark := store.PipelineMark{ID: id, Name: "name of " + id}
			found.marks = append(found.marks, mark)
			found.overviews = append(found.overviews, store.PipelineOverview{PipelineMark: mark})
		}
		b.take(found, time.Time{})
	}
	watch := &AccountWatch{Overview: true}
	shows("kept")
	patch, slow, _, err := b.since(unseen, watch)
	require.NoError(t, err)
	require.True(t, patch.Snapshot)
	for i := range maxDeleted {
		shows("kept", fmt.Sprintf("p%d", i))
	}
	patch, _, _, err = b.since(slow, watch)
	require.NoError(t, err)
	require.False(t, patch.Snapshot)
	require.Len(t, patch.DeletedPipelines, maxDeleted-1)
	require.Len(t, patch.Pipelines, 1)

	_, quick, _, err := b.since(slow, watch)
	require.NoError(t, err)
	shows("kept")
	shows("kept", "more")
	shows("kept")
	require.Len(t, b.deleted, maxDeleted)
	patch, _, _, err = b.since(quick, watch)
	require.NoError(t, err)
	require.False(t, patch.Snapshot)
	require.Equal(t, []string{fmt.Sprintf("name of p%d", maxDeleted-1), "name of more"}, patch.DeletedPipelines)
	patch, _, _, err = b.since(slow, watch)
	require.NoError(t, err)
	require.True(t, patch.Snapshot)
	require.Empty(t, patch.DeletedPipelines)
	require.Equal(t, "name of kept", patch.Pipelines[0].Name)
}
