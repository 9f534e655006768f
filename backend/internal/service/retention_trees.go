package service

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/artifact"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// How trees rest on their way out (ADR 17).
const (
	// treeRest is how long nobody must have used a tree before it is removed: longer
	// than any transaction that may have read the execution which used it.
	treeRest = time.Hour
	// treeYouth keeps what was stored lately, whose attempt may not have reported yet.
	// Removals are remembered as long, for those who report later.
	treeYouth = 24 * time.Hour
	// claimTime bounds the removal of one tree.
	claimTime = time.Minute
	// treesAtOnce bounds the trees that are looked up in one transaction.
	treesAtOnce = 500
)

// Trees is what retention needs of the artifact store.
type Trees interface {
	// Trees gives all trees, in any order, and ends after the first error.
	Trees(ctx context.Context) iter.Seq2[artifact.Tree, error]
	// Tree returns artifact.ErrNotStored where there is none.
	Tree(ctx context.Context, digest string) (artifact.Tree, error)
	// Remove is no error where there is none.
	Remove(ctx context.Context, digest string) error
}

// trees looks at all that the artifact store holds.
func (p *retentionPass) trees(ctx context.Context) error {
	some := make([]artifact.Tree, 0, treesAtOnce)
	for tree, err := range p.config.Artifacts.Trees(ctx) {
		if err != nil {
			return err
		}
		if some = append(some, tree); len(some) < treesAtOnce {
			continue
		}
		if err := p.sweep(ctx, some); err != nil {
			return err
		}
		some = some[:0]
	}
	if err := p.sweep(ctx, some); err != nil || p.dryRun {
		return err
	}
	return p.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.PruneRemovals(ctx, p.now.Add(-treeYouth))
	})
}

// sweep takes trees one step further on their way out, or back from it.
func (p *retentionPass) sweep(ctx context.Context, trees []artifact.Tree) error {
	digests := make([]string, len(trees))
	for i := range trees {
		digests[i] = trees[i].Digest
	}
	var uses map[string]int
	var removals map[string]store.ArtifactRemoval
	if err := p.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if uses, err = r.CountUses(ctx, digests); err != nil {
			return err
		}
		removals, err = r.ArtifactRemovals(ctx, digests)
		return err
	}); err != nil {
		return err
	}
	var mark, keep []string
	var remove []artifact.Tree
	for _, tree := range trees {
		removal := removals[tree.Digest]
		leaving := p.leaving[tree.Digest]
		step := nextStep(tree, uses[tree.Digest]-leaving, removal, p.now)
		if step == treeMarked || step == treeRests || step == treeRemoved || leaving > 0 && leaving == uses[tree.Digest] {
			p.result.Unused.add(tree.Size)
		}
		switch step {
		case treeMarked:
			mark = append(mark, tree.Digest)
		case treeKept:
			keep = append(keep, tree.Digest)
		case treeRemoved:
			remove = append(remove, tree)
		case treeStays, treeRests:
		}
	}
	if p.dryRun {
		return nil
	}
	if err := p.note(ctx, mark, keep); err != nil {
		return err
	}
	for _, tree := range remove {
		if err := p.removeTree(ctx, tree, removals[tree.Digest]); err != nil {
			return err
		}
	}
	return nil
}

// treeStep is what a pass does with a tree.
type treeStep int

const (
	// treeStays: it is used, or was stored lately.
	treeStays treeStep = iota
	// treeKept: it is marked, and used again.
	treeKept
	// treeMarked: nobody uses it, which is not noted yet.
	treeMarked
	// treeRests: that is noted, and not for long enough.
	treeRests
	treeRemoved
)

// nextStep decides about a tree.
func nextStep(tree artifact.Tree, uses int, removal store.ArtifactRemoval, now time.Time) treeStep {
	marked := !removal.MarkedAt.IsZero()
	switch {
	case uses > 0 && marked && removal.ClaimedAt.IsZero():
		return treeKept
	case uses > 0 || now.Sub(tree.StoredAt) < treeYouth:
		return treeStays
	case !marked:
		return treeMarked
	case !removal.RemovedAt.IsZero():
		// Stored once more since. Its removal is forgotten before it is marked again.
		return treeRests
	case removal.ClaimedAt.IsZero() && now.Sub(removal.MarkedAt) < treeRest:
		return treeRests
	case !removal.ClaimedAt.IsZero() && now.Sub(removal.ClaimedAt) < store.ClaimExpiry:
		return treeRests
	default:
		return treeRemoved
	}
}

func (p *retentionPass) note(ctx context.Context, mark, keep []string) error {
	if len(mark)+len(keep) == 0 {
		return nil
	}
	err := p.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		for _, digest := range keep {
			if err := tx.RestoreArtifact(ctx, digest, time.Time{}); err != nil {
				return err
			}
		}
		return tx.MarkArtifacts(ctx, mark, p.now)
	})
	if errors.Is(err, store.ErrStale) {
		// Another server was faster; what is left is the next pass's.
		return nil
	}
	return err
}

// removeTree removes a tree that nobody uses. Once it is claimed nobody begins to use
// it without looking whether it is there (the loop does).
func (p *retentionPass) removeTree(ctx context.Context, tree artifact.Tree, seen store.ArtifactRemoval) error {
	// Not that of the pass: it says for how long others wait.
	claimed := p.config.Clock()
	limited, cancel := context.WithTimeout(ctx, claimTime)
	defer cancel()
	err := p.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.ClaimArtifact(ctx, tree.Digest, seen, claimed)
	})
	if errors.Is(err, store.ErrStale) {
		// Somebody uses it, or another server was faster.
		return nil
	}
	if err != nil {
		return err
	}
	// An attempt may have stored it since it was listed.
	now, err := p.config.Artifacts.Tree(limited, tree.Digest)
	if err == nil && claimed.Sub(now.StoredAt) < treeYouth {
		return p.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
			return tx.RestoreArtifact(ctx, tree.Digest, claimed)
		})
	}
	if err != nil && !errors.Is(err, artifact.ErrNotStored) {
		return err
	}
	if err := p.config.Artifacts.Remove(limited, tree.Digest); err != nil {
		return err
	}
	err = p.config.Store.Update(ctx, func(ctx context.Context, tx store.Tx) error {
		return tx.FinishArtifactRemoval(ctx, tree.Digest, claimed, p.config.Clock())
	})
	if err != nil && !errors.Is(err, store.ErrStale) {
		return err
	}
	p.result.Removed.add(tree.Size)
	if p.config.Observe != nil {
		p.config.Observe(1, tree.Size)
	}
	return nil
}
