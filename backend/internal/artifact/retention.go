package artifact

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
)

// Tree is an artifact as the store has it.
type Tree struct {
	Digest string
	// Size is in bytes, as it is stored.
	Size int64
	// StoredAt is when it was stored last, by the clock of the store.
	StoredAt time.Time
}

// ErrNotStored says that the store has no artifact of a digest.
var ErrNotStored = errors.New("the store holds no such artifact")

// Trees gives all artifacts. It ends after the first error.
func (s *Store) Trees(ctx context.Context) iter.Seq2[Tree, error] {
	return s.trees(ctx, "")
}

// Tree returns an artifact, or ErrNotStored.
func (s *Store) Tree(ctx context.Context, digest string) (Tree, error) {
	if !isDigest(digest) {
		return Tree{}, fmt.Errorf("%q is not a SHA-256 digest", digest)
	}
	for tree, err := range s.trees(ctx, object(digest)) {
		return tree, err
	}
	return Tree{}, fmt.Errorf("artifact sha256:%s: %w", digest, ErrNotStored)
}

// Has reports whether the store has an artifact.
func (s *Store) Has(ctx context.Context, digest string) (bool, error) {
	_, err := s.Tree(ctx, digest)
	if errors.Is(err, ErrNotStored) {
		return false, nil
	}
	return err == nil, err
}

// trees gives the artifacts whose objects begin with a prefix.
func (s *Store) trees(ctx context.Context, prefix string) iter.Seq2[Tree, error] {
	return func(yield func(Tree, error) bool) {
		for found, err := range s.objects.List(ctx, prefix) {
			if err != nil {
				yield(Tree{}, fmt.Errorf("list artifacts: %w", err))
				return
			}
			if tree, ok := treeOf(found); ok && !yield(tree, nil) {
				return
			}
		}
	}
}

// treeOf returns the artifact that an object holds, if it is one.
func treeOf(found blob.Object) (Tree, bool) {
	digest := strings.Replace(found.Name, "/", "", 1)
	return Tree{Digest: digest, Size: found.Size, StoredAt: found.ModTime}, isDigest(digest) && found.Name == object(digest)
}
