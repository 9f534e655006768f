package service

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

const (
	// lookEvery is how often a board looks for changes that no event reports: pipelines that
	// are created, updated or deleted, and transitions.
	lookEvery = 500 * time.Millisecond
	// feedSize bounds the events that a board reads at once, and feedPause is the least time
	// between two reads that are not full.
	feedSize  = 5000
	feedPause = 100 * time.Millisecond
	// versionsAtOnce bounds the definitions that a board holds while it takes the names of
	// their stages.
	versionsAtOnce = 100
)

// lookout keeps a board up to date.
type lookout struct {
	config ExecutionsConfig
	board  *board
	// marks and shapes are by the id of a pipeline.
	marks  map[string]store.PipelineMark
	shapes map[string]*pipelineShape
	// known are shapes that other boards have read.
	known *knownShapes
}

func newLookout(config ExecutionsConfig, known *knownShapes, b *board) *lookout {
	return &lookout{config: config, board: b, known: known, marks: make(map[string]store.PipelineMark), shapes: make(map[string]*pipelineShape)}
}

// run keeps the board up to date until the context ends or the store does not answer.
func (l *lookout) run(ctx context.Context) {
	position, err := l.look(ctx)
	if err != nil {
		l.board.fail(err)
		return
	}
	var following sync.WaitGroup
	defer following.Wait()
	following.Go(func() { l.follow(ctx, position) })
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	pace := time.NewTimer(0)
	defer pace.Stop()
	for {
		pace.Reset(patchEvery)
		select {
		case <-pace.C:
		case <-l.board.hurry:
			signal(l.board.wake)
		case <-ctx.Done():
			return
		}
		select {
		case <-l.board.wake:
		case <-l.board.hurry:
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		if _, err := l.look(ctx); err != nil {
			l.board.fail(err)
			return
		}
	}
}

// follow notes the executions that have events after a position.
func (l *lookout) follow(ctx context.Context, after int64) {
	pace := time.NewTimer(0)
	defer pace.Stop()
	for page, err := range l.config.Loop.Feed(ctx, store.FeedQuery{Account: l.board.account, After: after, Size: feedSize}) {
		if err != nil {
			l.board.fail(err)
			return
		}
		l.board.note(page.Events)
		if full := page.Next-after >= feedSize; !full {
			pace.Reset(feedPause)
			select {
			case <-pace.C:
			case <-ctx.Done():
				return
			}
		}
		after = page.Next
	}
}

// look reads what may have changed, publishes what did, and returns the position in the feed
// which the first look has all changes before.
func (l *lookout) look(ctx context.Context) (int64, error) {
	now := l.config.Clock()
	do := l.board.next(now)
	var found sight
	err := l.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		// It runs again where the view is done again.
		found, err = l.read(ctx, r, &do)
		return err
	})
	if err != nil {
		return 0, err
	}
	l.board.take(&found, now)
	l.remember(&found)
	return found.position, nil
}

func (l *lookout) read(ctx context.Context, r store.Reader, do *task) (found sight, err error) {
	if do.first {
		if found.position, err = r.NewestPosition(ctx); err != nil {
			return found, err
		}
	}
	if found.marks, err = r.PipelineMarks(ctx, l.board.account); err != nil {
		return found, err
	}
	ids, err := r.PipelinesOf(ctx, do.dirty)
	if err != nil {
		return found, err
	}
	byName, exists := make(map[string]string, len(found.marks)), make(map[string]bool, len(found.marks))
	for _, mark := range found.marks {
		byName[mark.Name], exists[mark.ID] = mark.ID, true
		if l.marks[mark.ID] != mark && !slices.Contains(ids, mark.ID) {
			ids = append(ids, mark.ID)
		}
	}
	overviews, err := r.Overviews(ctx, ids)
	if err != nil {
		return found, err
	}
	if err := l.readShapes(ctx, r, overviews); err != nil {
		return found, err
	}
	found.summaries = make(map[string]*PipelineSummary, len(overviews))
	for i := range overviews {
		found.summaries[overviews[i].ID] = summarize(&overviews[i], l.shapes[overviews[i].ID])
	}
	found.states = make(map[string]*NamedState)
	for name, read := range do.states {
		id := byName[name]
		switch {
		case id == "":
			found.states[name] = nil
		case !read || slices.Contains(ids, id):
			shape := l.shapes[id]
			state := &NamedState{Name: name}
			if shape != nil {
				reads := stateReader{loop: l.config.Loop, account: l.board.account, pipeline: name, id: id, version: shape.version, now: l.config.Clock()}
				if state.StateView, err = reads.read(ctx, r); err != nil {
					return found, err
				}
			}
			found.states[name] = state
		}
	}
	found.executions = make(map[string]*execution.Execution)
	for id, pipelineID := range do.executions {
		if pipelineID != "" && exists[pipelineID] {
			continue
		}
		e, err := r.Execution(ctx, id)
		if err != nil && !errors.Is(err, store.ErrNotFound) {
			return found, err
		}
		if err != nil || e.Account != l.board.account {
			e = nil
		}
		found.executions[id] = e
	}
	return found, nil
}

// readShapes reads the newest versions that the board has not read.
func (l *lookout) readShapes(ctx context.Context, r store.Reader, overviews []store.PipelineOverview) error {
	var missing []string
	for i := range overviews {
		o := &overviews[i]
		if shape := l.shapes[o.ID]; o.Version == 0 || (shape != nil && shape.version == o.Version) {
			continue
		}
		if l.shapes[o.ID] = l.known.get(o.ID, o.Version); l.shapes[o.ID] == nil {
			missing = append(missing, o.ID)
		}
	}
	for ids := range slices.Chunk(missing, versionsAtOnce) {
		versions, err := r.NewestVersions(ctx, ids)
		if err != nil {
			return err
		}
		for i := range versions {
			shape := shapeOf(versions[i].Version, &versions[i].Definition)
			l.shapes[versions[i].PipelineID] = shape
			l.known.put(versions[i].PipelineID, shape)
		}
	}
	return nil
}

// remember keeps the marks of what was read, and nothing of pipelines that are gone.
func (l *lookout) remember(found *sight) {
	clear(l.marks)
	for _, mark := range found.marks {
		l.marks[mark.ID] = mark
	}
	maps.DeleteFunc(l.shapes, func(id string, _ *pipelineShape) bool { _, exists := l.marks[id]; return !exists })
}
