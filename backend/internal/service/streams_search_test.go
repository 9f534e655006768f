package service_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logs"
	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// searchable returns a search that finds a line.
func (l *lab) searchable() service.LogSearch {
	l.t.Helper()
	l.pipeline("web", stages(pipeline.Queued, []string{"build"}))
	e := l.start("web")
	a := l.acquire("r1")
	w := l.logs.Writer(&a.Attempt)
	_, err := io.WriteString(w, "needle\nneedle\n")
	require.NoError(l.t, errors.Join(err, w.Close()))
	l.report("r1", a, action.Result{})
	pattern, err := logs.NewPattern("needle", logs.Options{})
	require.NoError(l.t, err)
	return service.LogSearch{ExecutionID: e.ID, Pattern: pattern, Matches: 10}
}

// Clients that take nothing of what is found hold up nobody's search for longer than
// one goes on.
func TestSearchesWhoseClientsDoNotRead(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	l.SetSearchTime(100 * time.Millisecond)
	search := l.searchable()
	type result struct {
		done service.LogSearched
		err  error
	}
	// Each sends twice.
	sending, read := make(chan struct{}, 8), make(chan struct{})
	begin := func(answer error) <-chan result {
		ended := make(chan result, 1)
		go func() {
			done, err := l.SearchLogs(t.Context(), identity(auth.Viewer, "default"), "default", search, func(service.LogPlace, logs.Match) error {
				sending <- struct{}{}
				<-read
				return answer
			})
			ended <- result{done, err}
		}()
		<-sending
		return ended
	}
	errGone := errors.New("the client is gone")
	stalled, gone := begin(nil), begin(errGone)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err := l.SearchLogs(ctx, identity(auth.Viewer, "other"), "other", service.LogSearch{ExecutionID: "none"}, nil)
	requireRefused(t, err, service.KindNotFound, pipeline.ReasonNotFound)

	// When two more have begun, the time of both was over.
	more := []<-chan result{begin(nil), begin(nil)}
	close(read)
	got := <-stalled
	require.NoError(t, got.err)
	require.Contains(t, got.done.Incomplete, "longer than a minute")
	require.EqualValues(t, 1, got.done.Matches, "it ends with what it sends")
	require.ErrorIs(t, (<-gone).err, errGone, "nothing more can be sent")
	for _, ended := range more {
		require.NoError(t, (<-ended).err)
	}
}
