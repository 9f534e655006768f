package trigger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

// Outcome is what Match found.
type Outcome int

const (
	// NotMatched means that no execution starts.
	NotMatched Outcome = iota
	// Matched means that an execution starts.
	Matched
	// Undecided means that Result.Needs has to be determined first.
	Undecided
)

// Result is a decision.
type Result struct {
	Outcome Outcome
	// Needs is what an undecided result depends on.
	Needs Needs
	// Reason is for programs, Message for people: it names the entry, the pattern and the
	// ref or path that decided.
	Reason  pipeline.Reason
	Message string
	// Entries are what each entry said, push entries first. Empty if the event was decided
	// before any entry was looked at.
	Entries []EntryResult
}

// Needs is what has to be determined before a decision.
type Needs struct {
	// Files are the changed files, from the base that Event.DiffBase says.
	Files bool
	// Message is the message of the head commit: Move.Head or PullRequest.HeadMessage.
	Message bool
}

// EntryResult is what one entry of the filters said.
type EntryResult struct {
	// Entry is the place of the entry, such as push[0].
	Entry   string
	Matched bool
	// NeedsFiles means that all else of the entry matches and it filters by files.
	NeedsFiles bool
	Reason     pipeline.Reason
	Message    string
}

// The reasons of decisions. Their text is part of the contract and never changes.
const (
	// ReasonMatched: the filters let the change through.
	ReasonMatched pipeline.Reason = "MATCHED"
	// ReasonNeedsFiles: the changed files are still to be read.
	ReasonNeedsFiles pipeline.Reason = "NEEDS_FILES"
	// ReasonNeedsMessage: the message of the head commit is still to be read.
	ReasonNeedsMessage pipeline.Reason = "NEEDS_MESSAGE"
	// ReasonFork: the source of the pull request is in another repository.
	ReasonFork pipeline.Reason = "FORK"
	// ReasonRefDeleted: the branch or tag was deleted.
	ReasonRefDeleted pipeline.Reason = "REF_DELETED"
	// ReasonOtherRef: the ref is neither a branch nor a tag.
	ReasonOtherRef pipeline.Reason = "OTHER_REF"
	// ReasonNotDefaultBranch: the trigger watches only the default branch.
	ReasonNotDefaultBranch pipeline.Reason = "NOT_DEFAULT_BRANCH"
	// ReasonNoPushFilter: a push, and the trigger has only filters of pull requests.
	ReasonNoPushFilter pipeline.Reason = "NO_PUSH_FILTER"
	// ReasonNoPullRequestFilter: a pull request, and the trigger has no filters of those.
	ReasonNoPullRequestFilter pipeline.Reason = "NO_PULL_REQUEST_FILTER"
	// ReasonTagPush: a push of a tag, and the entry has no filter of tags or one of branches.
	ReasonTagPush pipeline.Reason = "TAG_PUSH"
	// ReasonBranchPush: a push of a branch, and the entry filters by tags.
	ReasonBranchPush pipeline.Reason = "BRANCH_PUSH"
	// ReasonBranchNotIncluded: no pattern of included branches matches the branch.
	ReasonBranchNotIncluded pipeline.Reason = "BRANCH_NOT_INCLUDED"
	// ReasonBranchExcluded: a pattern of excluded branches matches the branch.
	ReasonBranchExcluded pipeline.Reason = "BRANCH_EXCLUDED"
	// ReasonTagNotIncluded: no pattern of included tags matches the tag.
	ReasonTagNotIncluded pipeline.Reason = "TAG_NOT_INCLUDED"
	// ReasonTagExcluded: a pattern of excluded tags matches the tag.
	ReasonTagExcluded pipeline.Reason = "TAG_EXCLUDED"
	// ReasonEventNotIncluded: the entry does not have this event of pull requests.
	ReasonEventNotIncluded pipeline.Reason = "EVENT_NOT_INCLUDED"
	// ReasonFilesNotIncluded: no changed file is included.
	ReasonFilesNotIncluded pipeline.Reason = "FILES_NOT_INCLUDED"
	// ReasonFilesExcluded: every changed file that is included is excluded, too.
	ReasonFilesExcluded pipeline.Reason = "FILES_EXCLUDED"
	// ReasonNoFiles: the entry filters by files, and no file was changed.
	ReasonNoFiles pipeline.Reason = "NO_FILES"
	// ReasonTagFiles: the entry filters by files, which the push of a tag does not change.
	ReasonTagFiles pipeline.Reason = "TAG_FILES"
	// ReasonNewBranch: the branch is new, and new_branch is ignore.
	ReasonNewBranch pipeline.Reason = "NEW_BRANCH"
	// ReasonTagMoved: the tag moved to another commit, and moved_tag is refuse.
	ReasonTagMoved pipeline.Reason = "TAG_MOVED"
	// ReasonSkipMarker: the head commit asks to start nothing.
	ReasonSkipMarker pipeline.Reason = "SKIP_MARKER"
	// ReasonUnknownDiff: the changed files cannot be determined, and on_unknown_diff is
	// ignore. If it is start, the result is Matched with this reason.
	ReasonUnknownDiff pipeline.Reason = "UNKNOWN_DIFF"
	// ReasonInvalidFilter: a pattern is not valid, which validation refuses.
	ReasonInvalidFilter pipeline.Reason = "INVALID_FILTER"
)

// progress orders reasons by how far an entry came before it did not match. The one that
// came furthest explains the decision best.
func progress(reason pipeline.Reason) int {
	switch reason {
	case ReasonFilesExcluded, ReasonFilesNotIncluded, ReasonNoFiles, ReasonUnknownDiff, ReasonNewBranch:
		return 3
	case ReasonBranchExcluded, ReasonTagExcluded, ReasonTagFiles:
		return 2
	case ReasonBranchNotIncluded, ReasonTagNotIncluded, ReasonEventNotIncluded:
		return 1
	default:
		return 0
	}
}

// Match decides whether the event starts an execution. The declaration is valid, see
// Git.Validate. Any entry that matches is enough; an entry matches if all of its filters
// do; a filter matches if a pattern of includes does, or includes is empty, and none of
// excludes does. Changed files are looked at one by one: one that matches is enough.
//
// A push is one of a branch or of a tag, never both. An entry with a filter of tags matches
// pushes of tags only, and other entries match pushes of branches only. So an entry with
// filters of tags and of branches or files matches nothing, which CodePipeline refuses, and
// Warnings says.
func Match(git *Git, event *Event, files Files) Result {
	return (*Compiled)(nil).Match(git, event, files)
}

// Match is the function Match for the declaration that c keeps the patterns of.
func (c *Compiled) Match(git *Git, event *Event, files Files) Result {
	m := matcher{git: git, event: event, files: files, compiled: c}
	switch {
	case event.PullRequest != nil:
		return m.pullRequest(event.PullRequest)
	case event.Move != nil:
		return m.move(event.Move)
	default:
		return refused(ReasonOtherRef, "the event has neither a ref nor a pull request")
	}
}

type matcher struct {
	git   *Git
	event *Event
	files Files
	// compiled keeps the patterns of git; it may be nil.
	compiled *Compiled
}

func refused(reason pipeline.Reason, format string, args ...any) Result {
	return Result{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

func (m *matcher) move(move *Move) Result {
	branch, isBranch := move.Branch()
	tag, isTag := move.Tag()
	var what string
	switch {
	case isBranch:
		what = "branch " + excerpt(branch)
	case isTag:
		what = "tag " + excerpt(tag)
	default:
		return refused(ReasonOtherRef, "%s is neither a branch nor a tag", excerpt(move.Ref))
	}
	switch {
	case move.Deleted:
		return refused(ReasonRefDeleted, "%s was deleted", what)
	case len(m.git.Push) == 0 && len(m.git.PullRequest) > 0:
		return refused(ReasonNoPushFilter, "%s was pushed, and the trigger has filters of pull requests only", what)
	case len(m.git.Push) == 0:
		return m.unfiltered(move, what, branch, isBranch)
	}
	entries := make([]EntryResult, len(m.git.Push))
	for i := range m.git.Push {
		entries[i] = m.push(&m.git.Push[i], move)
		entries[i].Entry = fmt.Sprintf("push[%d]", i)
	}
	result := m.conclude(entries)
	if isTag && result.Outcome != NotMatched && !move.Created && m.git.MovedTag != MovedTagAllow {
		result.Outcome, result.Needs, result.Reason = NotMatched, Needs{}, ReasonTagMoved
		result.Message = fmt.Sprintf("%s moved from %s to %s, and moved_tag is %s", what, short(move.From), short(move.To), MovedTagRefuse)
	}
	if isTag {
		return result
	}
	return m.markers(result, move.Head)
}

// unfiltered decides on a push if the trigger has no entries.
func (m *matcher) unfiltered(move *Move, what, branch string, isBranch bool) Result {
	switch {
	case !isBranch:
		return refused(ReasonTagPush, "%s was pushed, and a trigger without filters starts on pushes to branches only", what)
	case m.git.DefaultBranchOnly && move.DefaultBranch == "":
		return refused(ReasonNotDefaultBranch, "%s was pushed, and the default branch of the repository is not known", what)
	case m.git.DefaultBranchOnly && branch != move.DefaultBranch:
		return refused(ReasonNotDefaultBranch, "%s was pushed, and the source action watches the default branch %s", what, excerpt(move.DefaultBranch))
	}
	return m.markers(Result{Outcome: Matched, Reason: ReasonMatched, Message: what + " was pushed"}, move.Head)
}

func (m *matcher) pullRequest(pr *PullRequest) Result {
	what := fmt.Sprintf("pull request %d", pr.Number)
	switch {
	case len(m.git.PullRequest) == 0:
		return refused(ReasonNoPullRequestFilter, "%s changed, and the trigger has no filters of pull requests", what)
	case pr.Fork:
		return refused(ReasonFork, "%s comes from a fork, and pull requests from forks start no executions", what)
	}
	entries := make([]EntryResult, len(m.git.PullRequest))
	for i := range m.git.PullRequest {
		entries[i] = m.request(&m.git.PullRequest[i], pr)
		entries[i].Entry = fmt.Sprintf("pull_request[%d]", i)
	}
	return m.markers(m.conclude(entries), pr.HeadMessage)
}

// markers lets a marker in the head commit overrule a match.
func (m *matcher) markers(result Result, head *Message) Result {
	if result.Outcome == NotMatched || !m.git.ObservesSkipMarkers() {
		return result
	}
	if head == nil {
		if result.Outcome == Matched {
			result.Reason, result.Message = ReasonNeedsMessage, "the message of the head commit is not known yet"
		}
		result.Outcome, result.Needs.Message = Undecided, true
		return result
	}
	if marker, skips := head.SkipMarker(); skips {
		result.Outcome, result.Needs, result.Reason = NotMatched, Needs{}, ReasonSkipMarker
		result.Message = fmt.Sprintf("the head commit says %q", marker)
	}
	return result
}

// conclude combines what the entries said.
func (m *matcher) conclude(entries []EntryResult) Result {
	furthest := 0
	for i := range entries {
		e := &entries[i]
		if e.Matched {
			return Result{Outcome: Matched, Reason: e.Reason, Message: e.Entry + ": " + e.Message, Entries: entries}
		}
		if progress(e.Reason) > progress(entries[furthest].Reason) {
			furthest = i
		}
	}
	if i := slices.IndexFunc(entries, func(e EntryResult) bool { return e.NeedsFiles }); i >= 0 {
		return Result{
			Outcome: Undecided, Needs: Needs{Files: true}, Reason: ReasonNeedsFiles,
			Message: entries[i].Entry + ": " + entries[i].Message, Entries: entries,
		}
	}
	e := &entries[furthest]
	return Result{Reason: e.Reason, Message: e.Entry + ": " + e.Message, Entries: entries}
}

func said(matched bool, reason pipeline.Reason, format string, args ...any) EntryResult {
	return EntryResult{Matched: matched, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// push decides on one entry of the push filters.
func (m *matcher) push(filter *pipeline.GitPushFilter, move *Move) EntryResult {
	if tag, isTag := move.Tag(); isTag {
		switch {
		case filter.Tags == nil:
			return said(false, ReasonTagPush, "tag %s was pushed, and the entry has no filter of tags", excerpt(tag))
		case filter.Branches != nil:
			return said(false, ReasonTagPush, "tag %s was pushed, and the entry also filters by branches, which no tag matches", excerpt(tag))
		}
		v := m.decideName(filter.Tags, "tag", tag, ReasonTagNotIncluded, ReasonTagExcluded)
		if v.Matched && filter.FilePaths != nil {
			return said(false, ReasonTagFiles, "tag %s was pushed, and the entry also filters by files, which the push of a tag does not change", excerpt(tag))
		}
		return v
	}
	branch, _ := move.Branch()
	if filter.Tags != nil {
		return said(false, ReasonBranchPush, "branch %s was pushed, and the entry filters by tags", excerpt(branch))
	}
	v := m.decideName(filter.Branches, "branch", branch, ReasonBranchNotIncluded, ReasonBranchExcluded)
	if !v.Matched || filter.FilePaths == nil {
		return v
	}
	if move.Created {
		switch m.git.NewBranch {
		case NewBranchIgnore:
			return said(false, ReasonNewBranch, "branch %s is new, and new_branch is %s", excerpt(branch), NewBranchIgnore)
		case NewBranchStart:
			v.Message += fmt.Sprintf(", which is new, and new_branch is %s", NewBranchStart)
			return v
		case NewBranchCompareDefault, "":
		}
	}
	return m.changed(filter.FilePaths, v)
}

// request decides on one entry of the pull request filters.
func (m *matcher) request(filter *pipeline.GitPullRequestFilter, pr *PullRequest) EntryResult {
	if len(filter.Events) > 0 && !slices.Contains(filter.Events, string(pr.Event)) {
		return said(false, ReasonEventNotIncluded, "the event is %s, and the entry has %s", pr.Event, strings.Join(filter.Events, ", "))
	}
	v := m.decideName(filter.Branches, "destination branch", pr.Destination, ReasonBranchNotIncluded, ReasonBranchExcluded)
	if !v.Matched || filter.FilePaths == nil {
		return v
	}
	return m.changed(filter.FilePaths, v)
}

// decideName decides on the name of a branch or tag.
func (m *matcher) decideName(filter *pipeline.GlobFilter, what, name string, notIncluded, excluded pipeline.Reason) EntryResult {
	what += " " + excerpt(name)
	if filter == nil {
		return said(true, ReasonMatched, "%s matches, as any does", what)
	}
	globs, err := m.compiled.filter(filter)
	if err != nil {
		return said(false, ReasonInvalidFilter, "%v", err)
	}
	if glob := first(globs.excludes, []byte(name)); glob != nil {
		return said(false, excluded, "%s is excluded by %q", what, glob)
	}
	if len(globs.includes) == 0 {
		return said(true, ReasonMatched, "%s is not excluded", what)
	}
	glob := first(globs.includes, []byte(name))
	if glob == nil {
		return said(false, notIncluded, "%s does not match %s", what, listed(filter.Includes))
	}
	return said(true, ReasonMatched, "%s matches %q", what, glob)
}

// changed decides on the changed files of an entry that matches so far.
func (m *matcher) changed(filter *pipeline.GlobFilter, v EntryResult) EntryResult {
	switch m.files.State {
	case FilesNotComputed:
		need := said(false, ReasonNeedsFiles, "%s, and the changed files are not known yet", v.Message)
		need.NeedsFiles = true
		return need
	case FilesUnknown:
		problem := m.files.Problem
		if problem == "" {
			problem = "no reason is known"
		}
		if m.git.OnUnknownDiff == UnknownDiffIgnore {
			return said(false, ReasonUnknownDiff, "the changed files cannot be determined (%s), and on_unknown_diff is %s", problem, UnknownDiffIgnore)
		}
		return said(true, ReasonUnknownDiff, "%s; the changed files cannot be determined (%s), and on_unknown_diff is %s", v.Message, problem, UnknownDiffStart)
	case FilesKnown:
	}
	if len(m.files.Paths) == 0 {
		return said(false, ReasonNoFiles, "%s, and no file was changed", v.Message)
	}
	globs, err := m.compiled.filter(filter)
	if err != nil {
		return said(false, ReasonInvalidFilter, "%v", err)
	}
	return globs.decideFiles(m.files.Paths, v, filter.Includes)
}

func (g *globs) decideFiles(paths [][]byte, v EntryResult, includes []string) EntryResult {
	var excludedPath []byte
	var excludedBy *pathglob.Glob
	excluded := 0
	for _, path := range paths {
		included := first(g.includes, path)
		if included == nil && len(g.includes) > 0 {
			continue
		}
		if by := first(g.excludes, path); by != nil {
			if excluded++; excluded == 1 {
				excludedPath, excludedBy = path, by
			}
			continue
		}
		if included == nil {
			return said(true, ReasonMatched, "%s; file %s is not excluded", v.Message, excerpt(path))
		}
		return said(true, ReasonMatched, "%s; file %s matches %q", v.Message, excerpt(path), included)
	}
	files := counted(len(paths), "changed file")
	switch {
	case excluded == 0:
		if len(paths) == 1 {
			return said(false, ReasonFilesNotIncluded, "%s, and the only changed file %s does not match %s", v.Message, excerpt(paths[0]), listed(includes))
		}
		return said(false, ReasonFilesNotIncluded, "%s, and none of the %s, such as %s, matches %s", v.Message, files, excerpt(paths[0]), listed(includes))
	case excluded == len(paths):
		if len(paths) == 1 {
			return said(false, ReasonFilesExcluded, "%s, and the only changed file %s is excluded by %q", v.Message, excerpt(excludedPath), excludedBy)
		}
		return said(false, ReasonFilesExcluded, "%s, and all %s are excluded, such as %s by %q", v.Message, files, excerpt(excludedPath), excludedBy)
	default:
		return said(false, ReasonFilesExcluded, "%s, and every included file of the %s is also excluded, such as %s by %q", v.Message, files, excerpt(excludedPath), excludedBy)
	}
}

type globs struct{ includes, excludes []*pathglob.Glob }

func (c *Compiled) filter(filter *pipeline.GlobFilter) (globs, error) {
	includes, err := c.all(filter.Includes)
	if err != nil {
		return globs{}, err
	}
	excludes, err := c.all(filter.Excludes)
	return globs{includes, excludes}, err
}

func (c *Compiled) all(patterns []string) ([]*pathglob.Glob, error) {
	all := make([]*pathglob.Glob, len(patterns))
	for i, pattern := range patterns {
		glob, err := c.glob(pattern)
		if err != nil {
			return nil, err
		}
		all[i] = glob
	}
	return all, nil
}

// first returns the first of the patterns that matches a name.
func first(globs []*pathglob.Glob, name []byte) *pathglob.Glob {
	for _, glob := range globs {
		if glob.Match(name) {
			return glob
		}
	}
	return nil
}

// maxListed bounds how many patterns a message names.
const maxListed = 5

func listed(patterns []string) string {
	words := make([]string, 0, maxListed+1)
	for i, pattern := range patterns {
		if i == maxListed {
			words = append(words, fmt.Sprintf("%d more", len(patterns)-maxListed))
			break
		}
		words = append(words, fmt.Sprintf("%q", pattern))
	}
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// short returns the start of a commit id.
func short(commit string) string {
	const digits = 12
	if len(commit) > digits {
		return commit[:digits]
	}
	if commit == "" {
		return "an unknown commit"
	}
	return commit
}
