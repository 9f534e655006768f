package trigger_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/internal/forge"
	"github.com/headrace/terraform-provider-headrace/backend/internal/ledger"
	"github.com/headrace/terraform-provider-headrace/backend/internal/mirror"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/trigger"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	declared "github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// history plays what happens to a repository, and what is told of it.
type history struct {
	*bed

	rt *rapid.T
	// told are signals that were not delivered yet, and delivered those that were, by id.
	told      []forge.Signal
	delivered map[string]forge.Signal
	commits   []string
	triggers  []ledger.Trigger
	// forged is how many forged deliveries were sent, and lies are the commits that they told of.
	forged int
	lies   []string
	// paused is where the ledger was when a trigger was paused, by the name of the trigger: the newest move of
	// each ref. Withheld are the moves that were decided on meanwhile, and replayed those that were decided on
	// again while the trigger was not paused.
	paused             map[string]map[string]int64
	withheld, replayed map[string]map[string]bool
}

func (h *history) ref() string {
	return rapid.SampledFrom([]string{main, "refs/heads/dev", "refs/tags/v1"}).Draw(h.rt, "ref")
}

// change moves a ref of the remote to a new or an old commit, or deletes it.
func (h *history) change() {
	ref := h.ref()
	before := h.remote.at(ref)
	to := ""
	switch rapid.IntRange(0, 5).Draw(h.rt, "change") {
	case 0:
		if before == "" || ref == main {
			return
		}
	case 1, 2:
		to = rapid.SampledFrom(h.commits).Draw(h.rt, "old")
	default:
		file := rapid.SampledFrom([]string{"web/a", "api/a"}).Draw(h.rt, "file")
		to = h.remote.commit(before, "a commit", file)
		h.commits = append(h.commits, to)
	}
	if to == before {
		return
	}
	h.remote.set(ref, to)
	signal := h.push(ref, before, to)
	// A lost delivery is one that nobody sends.
	for range rapid.SampledFrom([]int{0, 1, 1, 1, 2}).Draw(h.rt, "deliveries") {
		h.told = append(h.told, signal)
	}
}

// tell delivers some of what was not told yet, in any order and at the same time.
func (h *history) tell() {
	var together sync.WaitGroup
	for range rapid.IntRange(1, 4).Draw(h.rt, "together") {
		if len(h.told) == 0 {
			break
		}
		n := rapid.IntRange(0, len(h.told)-1).Draw(h.rt, "which")
		signal, id := h.told[n], newID()
		h.told = slices.Delete(h.told, n, n+1)
		h.delivered[id] = signal
		together.Go(func() { assert.Equal(h.t, http.StatusAccepted, h.send(id, hookSecret, signal)) })
	}
	together.Wait()
}

// step is one thing that happens.
func (h *history) step() {
	switch rapid.IntRange(0, 15).Draw(h.rt, "step") {
	case 0, 1, 2, 3, 4:
		h.change()
	case 5, 6, 7, 8:
		h.tell()
	case 9:
		h.again()
	case 10:
		h.poll(h.triggers[0].RepositoryID)
	case 11, 12:
		h.replay()
	case 13:
		h.freeze()
	case 14:
		h.forge()
	default:
		h.kill()
	}
}

// sent returns the id of a delivery that was sent, empty if there is none. Half of them tell of where a ref still
// is.
func (h *history) sent() string {
	all := slices.Sorted(maps.Keys(h.delivered))
	current := slices.DeleteFunc(slices.Clone(all), func(id string) bool { return h.remote.at(h.delivered[id].Ref) != h.delivered[id].After })
	if len(current) > 0 && rapid.Bool().Draw(h.rt, "current") {
		all = current
	}
	if len(all) == 0 {
		return ""
	}
	return rapid.SampledFrom(all).Draw(h.rt, "delivery")
}

// again sends a delivery a second time. It is a new decision on the newest move of the ref for a trigger that was
// paused each time when it decided on the delivery, and never on another move.
func (h *history) again() {
	id := h.sent()
	if id == "" {
		return
	}
	h.settled()
	newest := h.movedBy(id)
	withheld := make(map[string]bool)
	h.read(func(ctx context.Context, r store.Reader) error {
		kept, err := r.DeliveryByDedup(ctx, "hook", id)
		if err != nil {
			return err
		}
		for _, t := range h.triggers {
			of := slices.DeleteFunc(h.decisions(t.ID), func(d ledger.Decision) bool { return d.DeliveryID != kept.ID || d.Ref != newest.Ref })
			withheld[t.Name] = len(of) > 0 && !slices.ContainsFunc(of, func(d ledger.Decision) bool {
				return d.Move != newest.Number || d.Reason != string(trigger.ReasonPaused)
			})
		}
		return nil
	})
	require.Equal(h.t, http.StatusAccepted, h.send(id, hookSecret, h.delivered[id]))
	h.settled()
	h.decidedAgain(id, &newest, func(trigger string) bool { return withheld[trigger] })
}

// decidedAgain notes that triggers decided again on the newest move of a delivery, unless the delivery continued
// the ledger this time, which is a move of its own.
func (h *history) decidedAgain(id string, newest *ledger.Move, by func(trigger string) bool) {
	if newest.Number == 0 || h.movedBy(id).Number != newest.Number {
		return
	}
	for n := range h.triggers {
		if name := h.triggers[n].Name; by(name) && h.paused[name] == nil {
			note(h.replayed, name, nameOf(newest))
		}
	}
}

// movedBy returns the newest move of the ref that a delivery tells of, if the delivery tells of that move or was
// decided on with it: one that came late led to where the remote was.
func (h *history) movedBy(id string) (newest ledger.Move) {
	said := h.delivered[id]
	h.read(func(ctx context.Context, r store.Reader) error {
		known, _, err := r.Ref(ctx, h.triggers[0].RepositoryID, said.Ref, "", "")
		if err != nil || known.Move == 0 {
			return err
		}
		kept, err := r.DeliveryByDedup(ctx, "hook", id)
		if err != nil {
			return err
		}
		decisions, err := r.DecisionsOfDelivery(ctx, kept.ID)
		if err != nil || known.Head != said.After && !slices.ContainsFunc(decisions, func(d ledger.Decision) bool {
			return d.Ref == said.Ref && d.Move == known.Move
		}) {
			return err
		}
		newest, err = r.MoveNumbered(ctx, known.RepositoryID, known.Ref, known.Move)
		return err
	})
	return newest
}

// forge sends a delivery that somebody signed who has not the secret.
func (h *history) forge() {
	ref := h.ref()
	lie := h.remote.commit(h.remote.at(ref), "forged", "web/a")
	h.forged++
	h.lies = append(h.lies, lie)
	require.Equal(h.t, http.StatusUnauthorized, h.send(newID(), "another secret", h.push(ref, h.remote.at(ref), lie)))
}

// replay decides on a delivery again. It is a new decision on the newest move of the ref if the delivery tells
// of that one.
func (h *history) replay() {
	id := h.sent()
	if id == "" {
		return
	}
	h.settled()
	newest := h.movedBy(id)
	require.NoError(h.t, h.bed.replay(id))
	h.settled()
	h.decidedAgain(id, &newest, func(string) bool { return true })
}

// freeze pauses triggers, one or all, while a few things happen. Some pauses do not end.
func (h *history) freeze() {
	if len(h.paused) > 0 {
		return
	}
	all := h.triggers
	if one := rapid.IntRange(0, len(all)).Draw(h.rt, "trigger"); one < len(all) {
		all = all[one : one+1]
	}
	toggle := func() {
		h.settled()
		for n := range all {
			h.pause(&all[n])
		}
	}
	toggle()
	for range rapid.IntRange(1, 8).Draw(h.rt, "frozen") {
		h.step()
	}
	if rapid.IntRange(0, 4).Draw(h.rt, "resume") == 0 {
		return
	}
	toggle()
	for range rapid.IntRange(0, 2).Draw(h.rt, "replays") {
		h.replay()
	}
}

// pause pauses a trigger, or ends its pause.
func (h *history) pause(t *ledger.Trigger) {
	var pause *ledger.Pause
	if h.paused[t.Name] == nil {
		pause = &ledger.Pause{Principal: "ann", Reason: "freeze", At: h.clock()}
	}
	require.NoError(h.t, h.store.Update(context.Background(), func(ctx context.Context, tx store.Tx) error {
		return tx.SetTriggerPause(ctx, t.ID, pause)
	}))
	if pause == nil {
		h.withhold(t.Name)
		delete(h.paused, t.Name)
		return
	}
	h.paused[t.Name] = make(map[string]int64)
	h.read(func(ctx context.Context, r store.Reader) error {
		refs, err := r.Refs(ctx, t.RepositoryID)
		for _, ref := range refs {
			h.paused[t.Name][ref.Ref] = ref.Move
		}
		return err
	})
}

// withhold notes the moves since a trigger was paused.
func (h *history) withhold(name string) {
	since, paused := h.paused[name]
	if !paused {
		return
	}
	h.read(func(ctx context.Context, r store.Reader) error {
		refs, err := r.Refs(ctx, h.triggers[0].RepositoryID)
		for _, ref := range refs {
			for n := since[ref.Ref] + 1; n <= ref.Move; n++ {
				m, err := r.MoveNumbered(ctx, ref.RepositoryID, ref.Ref, n)
				require.NoError(h.t, err)
				note(h.withheld, name, nameOf(&m))
			}
		}
		return err
	})
}

func note(of map[string]map[string]bool, trigger, move string) {
	if of[trigger] == nil {
		of[trigger] = make(map[string]bool)
	}
	of[trigger][move] = true
}

func nameOf(m *ledger.Move) string { return fmt.Sprintf("%s %s..%s %d", m.Ref, m.From, m.To, m.Number) }

// wanted is the slow model: the moves of the ledger that a trigger matches, each once, except those that came
// while it was paused and were not replayed.
func (h *history) wanted(t *ledger.Trigger) []string {
	var all []string
	h.read(func(ctx context.Context, r store.Reader) error {
		refs, err := r.Refs(ctx, t.RepositoryID)
		for _, ref := range refs {
			for n := int64(1); n <= ref.Move; n++ {
				m, err := r.MoveNumbered(ctx, t.RepositoryID, ref.Ref, n)
				if err != nil {
					return err
				}
				result := declared.Match(t.Declared.Git, &declared.Event{Move: &declared.Move{
					Ref: m.Ref, Created: m.From == "", Deleted: m.To == "", From: m.From, To: m.To, Head: &declared.Message{},
				}}, declared.Files{})
				name := nameOf(&m)
				if result.Outcome == declared.Matched && (!h.withheld[t.Name][name] || h.replayed[t.Name][name]) {
					all = append(all, name)
				}
			}
		}
		return err
	})
	slices.Sort(all)
	return all
}

// filtered is the slow model of a trigger that filters main by files: each move is compared with
// the head that was evaluated before it, or with what the coalesced moves before it began at. One that is
// replayed is compared with where it began.
func (h *history) filtered(t *ledger.Trigger) (wanted []string) {
	coalesced := h.coalesced(t)
	touches := func(ctx context.Context, from, to string) bool {
		changes, err := h.remote.ChangedFiles(ctx, mirror.Repository{}, from, to)
		require.NoError(h.t, err)
		return slices.ContainsFunc(changes.Paths, func(path []byte) bool { return string(path) == "web/a" })
	}
	h.read(func(ctx context.Context, r store.Reader) error {
		ref, _, err := r.Ref(ctx, t.RepositoryID, main, "", "")
		if err != nil {
			return err
		}
		base, waiting := "", false
		for n := int64(1); n <= ref.Move; n++ {
			m, err := r.MoveNumbered(ctx, t.RepositoryID, main, n)
			if err != nil {
				return err
			}
			if base == "" {
				base = m.From
			}
			name := nameOf(&m)
			if waiting = slices.Contains(coalesced, name); waiting {
				continue
			}
			if !h.withheld[t.Name][name] && touches(ctx, base, m.To) || h.replayed[t.Name][name] && touches(ctx, m.From, m.To) {
				wanted = append(wanted, name)
			}
			base = m.To
		}
		require.False(h.t, waiting, "a newer decision stands for a coalesced one")
		return nil
	})
	slices.Sort(wanted)
	return wanted
}

// started is what a trigger started.
func (h *history) started(t *ledger.Trigger) []string {
	var all []string
	for _, e := range h.executions() {
		if e.Trigger.Name != t.ResourceName() {
			continue
		}
		h.read(func(ctx context.Context, r store.Reader) error {
			d, err := r.Decision(ctx, "default", e.Trigger.Decision)
			require.Equal(h.t, e.ID, d.Execution)
			all = append(all, fmt.Sprintf("%s %s..%s %d", e.Trigger.Ref, e.Trigger.From, e.Trigger.To, d.Move))
			return err
		})
	}
	slices.Sort(all)
	return all
}

// coalesced are the moves that a newer one stands for, as the trigger declares.
func (h *history) coalesced(t *ledger.Trigger) (all []string) {
	for _, d := range h.decisions(t.ID) {
		if d.Reason == string(trigger.ReasonCoalesced) {
			require.False(h.t, t.Declared.Git.Each())
			all = append(all, fmt.Sprintf("%s %s..%s %d", d.Ref, d.FromCommit, d.ToCommit, d.Move))
		}
	}
	return all
}

// answered are the moves that a trigger started, and those that a newer one stands for. If the trigger was
// paused when they came, so it was when it decided on the newer one, and neither starts.
func (h *history) answered(t *ledger.Trigger) []string {
	coalesced := slices.DeleteFunc(h.coalesced(t), func(name string) bool { return h.withheld[t.Name][name] })
	all := append(h.started(t), coalesced...)
	slices.Sort(all)
	return all
}

// log is what a trigger decided, for the message of a failure.
func (h *history) log(t *ledger.Trigger) (all string) {
	for _, d := range h.decisions(t.ID) {
		all += fmt.Sprintf("%s %s..%s %d, found by %s: %s %s\n", d.Ref, d.FromCommit, d.ToCommit, d.Move, d.FoundBy, d.Outcome, d.Message)
	}
	return all
}

// check holds after everything was told and decided.
func (h *history) check() {
	h.settled()
	h.poll(h.triggers[0].RepositoryID)
	h.settled()
	h.read(func(ctx context.Context, r store.Reader) error {
		refs, err := r.Refs(ctx, h.triggers[0].RepositoryID)
		known := make(map[string]string)
		for _, ref := range refs {
			known[ref.Ref] = ref.Head
			at := ""
			for n := int64(1); n <= ref.Move; n++ {
				m, err := r.MoveNumbered(ctx, ref.RepositoryID, ref.Ref, n)
				require.NoError(h.t, err)
				if n > 1 {
					require.Equal(h.t, at, m.From, "move %d of %s begins where the one before ended", n, ref.Ref)
				}
				at = m.To
			}
		}
		for _, ref := range []string{main, "refs/heads/dev", "refs/tags/v1"} {
			require.Equal(h.t, h.remote.at(ref), known[ref], "the ledger has what the remote has of %s", ref)
		}
		return err
	})
	for i := range h.triggers {
		t := &h.triggers[i]
		h.withhold(t.Name)
		for _, d := range h.decisions(t.ID) {
			require.NotEqual(h.t, ledger.Pending, d.Outcome, "%+v", d)
			require.NotContains(h.t, h.lies, d.ToCommit, "a forged delivery was decided on")
		}
		if t.Name == "files" || t.Name == "each" {
			require.Equal(h.t, h.filtered(t), h.started(t), "%s starts for the files of each move", t.Name)
			continue
		}
		require.Equal(h.t, h.wanted(t), h.answered(t), "%s starts one execution for each move that it matches, paused %v, withheld %v, replayed %v:\n%s",
			t.Name, h.paused[t.Name], h.withheld[t.Name], h.replayed[t.Name], h.log(t))
	}
}

// kept checks what is stored of deliveries: each that was sent is there once, with a decision of each trigger,
// and of forged ones nothing but how many were refused.
func (h *history) kept() {
	decided := make(map[string]map[string]bool)
	for n := range h.triggers {
		for _, d := range h.decisions(h.triggers[n].ID) {
			note(decided, d.DeliveryID, h.triggers[n].Name)
		}
	}
	var rows []ledger.Delivery
	h.read(func(ctx context.Context, r store.Reader) (err error) {
		rows, err = r.Deliveries(ctx, store.DeliveryFilter{Account: "default"})
		return err
	})
	var ids []string
	refused := int64(0)
	for n := range rows {
		d := &rows[n]
		if d.Status == ledger.Refused {
			refused += d.Attempts
			require.Zero(h.t, d.BodySize)
			require.Empty(h.t, decided[d.ID])
			continue
		}
		require.Equal(h.t, ledger.Accepted, d.Status)
		require.Len(h.t, decided[d.ID], len(h.triggers), "each trigger decides on %v", h.delivered[d.ExternalID])
		ids = append(ids, d.ExternalID)
	}
	slices.Sort(ids)
	require.Equal(h.t, slices.Sorted(maps.Keys(h.delivered)), ids)
	// The count of the newest second is written later.
	require.LessOrEqual(h.t, refused, int64(h.forged))
	require.Equal(h.t, h.forged > 0, refused > 0)
}

// TestEachMoveStartsOneExecution plays random orders of webhooks, duplicates, swaps, polls,
// redeliveries, replays, forged deliveries, pauses, force pushes and kills.
func TestEachMoveStartsOneExecution(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		b, end := newBed(rt, dir)
		defer end()
		play(rt, b)
	})
}

// TestEachMoveStartsOneExecutionOnPostgreSQL does so a few times on the other engine, whose
// databases take longer to make.
func TestEachMoveStartsOneExecutionOnPostgreSQL(t *testing.T) {
	t.Parallel()
	const histories = 8
	played, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if played == histories && !failed {
			return
		}
		b, end := bedOn(rt, engines["PostgreSQL"](t))
		defer func() {
			failed = failed || rt.Failed()
			played++
			end()
		}()
		play(rt, b)
	})
}

// play plays a random history, and checks what came of it.
func play(rt *rapid.T, b *bed) {
	h := &history{
		bed: b, rt: rt, delivered: make(map[string]forge.Signal), paused: make(map[string]map[string]int64),
		withheld: make(map[string]map[string]bool), replayed: make(map[string]map[string]bool),
	}
	h.commits = []string{b.remote.commit("", "first")}
	b.remote.set(main, h.commits[0])
	files := declared.Git{Push: []pipeline.GitPushFilter{{
		Branches: &pipeline.GlobFilter{Includes: []string{"main"}}, FilePaths: &pipeline.GlobFilter{Includes: []string{"web/**"}},
	}}}
	each := files
	each.Coalesce = declared.CoalesceEach
	h.triggers = append(h.triggers,
		b.watch("all", declared.Git{Coalesce: declared.CoalesceEach}),
		b.watch("latest", declared.Git{}),
		b.watch("some", declared.Git{Push: []pipeline.GitPushFilter{
			{Branches: &pipeline.GlobFilter{Includes: []string{"main"}}}, {Tags: &pipeline.GlobFilter{Includes: []string{"v*"}}},
		}, MovedTag: declared.MovedTagAllow}),
		b.watch("files", files),
		b.watch("each", each),
	)
	for range rapid.IntRange(1, 25).Draw(rt, "steps") {
		h.step()
	}
	for len(h.told) > 0 {
		h.tell()
	}
	h.check()
	h.kept()
}
