package service

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// TestForgottenDeletionsBeginASnapshot holds that a board remembers few deletions, and that a
// stream which was too slow for one that is forgotten begins again.
func TestForgottenDeletionsBeginASnapshot(t *testing.T) {
	t.Parallel()
	b := newBoard("default", nil)
	shows := func(ids ...string) {
		found := &sight{summaries: make(map[string]*PipelineSummary)}
		for _, id := range ids {
			name := "name of " + id
			found.marks = append(found.marks, store.PipelineMark{ID: id, Name: name})
			found.summaries[id] = &PipelineSummary{Name: name}
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

func TestRevisionsInListsAreShort(t *testing.T) {
	t.Parallel()
	const hostile = "<img src=x onerror=alert(1)>\u202e\x1b[2J'\"&amp;"
	for text, want := range map[string]string{
		"Fix it\n\nBecause of 1": "Fix it", "": "", "\n": "", hostile + "\n" + hostile: hostile,
		strings.Repeat("ü", 200):     strings.Repeat("ü", 200),
		strings.Repeat("ü", 1<<20):   strings.Repeat("ü", 199) + "…",
		strings.Repeat("\xff", 1000): strings.Repeat("\ufffd", 199) + "…",
	} {
		s := summaryOf(&execution.Execution{Revisions: []execution.SourceRevision{{Revision: action.Revision{ID: "abc", Summary: text}}}})
		require.Equal(t, "abc", s.Revision)
		require.Equal(t, want, s.RevisionSummary)
		require.True(t, utf8.ValidString(s.RevisionSummary))
	}
	require.Equal(t, "def", summaryOf(&execution.Execution{Trigger: execution.Trigger{To: "def"}}).Revision)
}
