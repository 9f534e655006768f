// Package trigger decides which events start executions of a pipeline: moves of branches
// and tags, pull requests, and events of generic webhooks. Server and provider share it. It
// does no I/O, reads no clock and keeps no state, so a decision can be repeated.
package trigger

import (
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Git declares a trigger that watches a repository. It starts an execution if any entry of
// Push or PullRequest matches. Without entries it matches every push to a branch.
type Git struct {
	// Connection and Repository are empty if the source action says them.
	Connection   string `json:"connection,omitempty"`
	Repository   string `json:"repository,omitempty"`
	SourceAction string `json:"source_action"`

	Push        []pipeline.GitPushFilter        `json:"push,omitempty"`
	PullRequest []pipeline.GitPullRequestFilter `json:"pull_request,omitempty"`

	NewBranch NewBranch `json:"new_branch,omitempty"`
	MovedTag  MovedTag  `json:"moved_tag,omitempty"`
	// SkipMarkers is nil for the default, true.
	SkipMarkers   *bool       `json:"skip_markers,omitempty"`
	OnUnknownDiff UnknownDiff `json:"on_unknown_diff,omitempty"`
	Coalesce      Coalesce    `json:"coalesce,omitempty"`

	// DefaultBranchOnly limits a trigger without entries to the default branch of the
	// repository. A source action that names no branch is watched by such a trigger. It is
	// never declared.
	DefaultBranchOnly bool `json:"default_branch_only,omitempty"`
}

// NewBranch says what a push does that creates a branch, if an entry filters by files.
type NewBranch string

// The values of NewBranch. Empty means NewBranchCompareDefault.
const (
	// NewBranchCompareDefault compares with the merge base of the default branch.
	NewBranchCompareDefault NewBranch = "compare_default"
	// NewBranchStart lets the entry match whatever the files are.
	NewBranchStart NewBranch = "start"
	// NewBranchIgnore lets the entry not match, as in CodePipeline.
	NewBranchIgnore NewBranch = "ignore"
)

// MovedTag says what a tag does that moves to another commit.
type MovedTag string

// The values of MovedTag. Empty means MovedTagRefuse.
const (
	MovedTagRefuse MovedTag = "refuse"
	MovedTagAllow  MovedTag = "allow"
)

// UnknownDiff says what happens if the changed files cannot be determined.
type UnknownDiff string

// The values of UnknownDiff. Empty means UnknownDiffStart.
const (
	UnknownDiffStart  UnknownDiff = "start"
	UnknownDiffIgnore UnknownDiff = "ignore"
)

// Coalesce says what happens to several moves of a ref that are seen together.
type Coalesce string

// The values of Coalesce. Empty means CoalesceLatest.
const (
	CoalesceLatest Coalesce = "latest"
	CoalesceEach   Coalesce = "each"
)

// ObservesSkipMarkers reports whether markers such as [skip ci] keep the trigger from
// starting executions.
func (g *Git) ObservesSkipMarkers() bool { return g.SkipMarkers == nil || *g.SkipMarkers }

// Each reports whether every recorded move starts an execution, instead of the newest only.
func (g *Git) Each() bool { return g.Coalesce == CoalesceEach }
