package trigger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

func includes(patterns ...string) *pipeline.GlobFilter {
	return &pipeline.GlobFilter{Includes: patterns}
}

func excludes(patterns ...string) *pipeline.GlobFilter {
	return &pipeline.GlobFilter{Excludes: patterns}
}

func both(include, exclude string) *pipeline.GlobFilter {
	return &pipeline.GlobFilter{Includes: []string{include}, Excludes: []string{exclude}}
}

func pushes(filters ...pipeline.GitPushFilter) *trigger.Git {
	return &trigger.Git{SourceAction: "Checkout", Push: filters}
}

func requests(filters ...pipeline.GitPullRequestFilter) *trigger.Git {
	return &trigger.Git{SourceAction: "Checkout", PullRequest: filters}
}

// head is a message without any marker.
func head() *trigger.Message { return &trigger.Message{Subject: "Fix it"} }

func move(ref string, change ...func(*trigger.Move)) *trigger.Event {
	m := &trigger.Move{Ref: ref, From: strings.Repeat("a", 40), To: strings.Repeat("b", 40), DefaultBranch: "main", Head: head()}
	for _, c := range change {
		c(m)
	}
	return &trigger.Event{Move: m}
}

func created(m *trigger.Move) { m.Created, m.From = true, "" }

func pull(change ...func(*trigger.PullRequest)) *trigger.Event {
	pr := &trigger.PullRequest{
		Number: 7, Event: trigger.PullRequestOpen, Source: "feature/x", Destination: "main", HeadMessage: head(),
	}
	for _, c := range change {
		c(pr)
	}
	return &trigger.Event{PullRequest: pr}
}

func files(paths ...string) trigger.Files {
	list := make([][]byte, len(paths))
	for i, path := range paths {
		list[i] = []byte(path)
	}
	return trigger.Changed(list)
}

func TestMatch(t *testing.T) {
	t.Parallel()
	type (
		push    = pipeline.GitPushFilter
		request = pipeline.GitPullRequestFilter
	)
	var unknown trigger.Files
	branches := func(filter *pipeline.GlobFilter) *trigger.Git { return pushes(push{Branches: filter}) }
	web := func() *trigger.Git {
		return pushes(push{Branches: includes("main"), FilePaths: both("web/**", "**/*.md")})
	}
	with := func(git *trigger.Git, change func(*trigger.Git)) *trigger.Git {
		change(git)
		return git
	}
	for name, c := range map[string]struct {
		git    *trigger.Git
		event  *trigger.Event
		files  trigger.Files
		reason pipeline.Reason
		// message is a part of the message.
		message string
		outcome trigger.Outcome
	}{
		"no filter, a branch": {git: pushes(), event: move("refs/heads/feature/x"), reason: trigger.ReasonMatched, message: `branch "feature/x" was pushed`, outcome: trigger.Matched},
		"no filter, a tag":    {git: pushes(), event: move("refs/tags/v1"), reason: trigger.ReasonTagPush, message: "branches only"},
		"default branch only, that one": {
			git: &trigger.Git{DefaultBranchOnly: true}, event: move("refs/heads/main"), reason: trigger.ReasonMatched, outcome: trigger.Matched,
		},
		"default branch only, another": {
			git: &trigger.Git{DefaultBranchOnly: true}, event: move("refs/heads/x"), reason: trigger.ReasonNotDefaultBranch, message: `default branch "main"`,
		},
		"default branch only, not known": {
			git: &trigger.Git{DefaultBranchOnly: true}, event: move("refs/heads/main", func(m *trigger.Move) { m.DefaultBranch = "" }),
			reason: trigger.ReasonNotDefaultBranch, message: "not known",
		},
		"branch included":     {git: branches(includes("release/*", "main")), event: move("refs/heads/main"), reason: trigger.ReasonMatched, message: `push[0]: branch "main" matches "main"`, outcome: trigger.Matched},
		"branch not included": {git: branches(includes("release/*", "main")), event: move("refs/heads/dev"), reason: trigger.ReasonBranchNotIncluded, message: `branch "dev" does not match "release/*" or "main"`},
		"star does not cross": {git: branches(includes("*")), event: move("refs/heads/feature/x"), reason: trigger.ReasonBranchNotIncluded},
		"excludes win":        {git: branches(both("**", "wip/**")), event: move("refs/heads/wip/a"), reason: trigger.ReasonBranchExcluded, message: `excluded by "wip/**"`},
		"excludes only":       {git: branches(excludes("wip/**")), event: move("refs/heads/main"), reason: trigger.ReasonMatched, message: "is not excluded", outcome: trigger.Matched},
		"case matters":        {git: branches(includes("main")), event: move("refs/heads/Main"), reason: trigger.ReasonBranchNotIncluded},
		"same name as a tag":  {git: branches(includes("v1")), event: move("refs/tags/v1"), reason: trigger.ReasonTagPush},
		"tag included":        {git: pushes(push{Tags: includes("v*")}), event: move("refs/tags/v1", created), reason: trigger.ReasonMatched, outcome: trigger.Matched},
		"tag not included":    {git: pushes(push{Tags: includes("v*")}), event: move("refs/tags/x", created), reason: trigger.ReasonTagNotIncluded},
		"tag excluded":        {git: pushes(push{Tags: both("v*", "*-rc*")}), event: move("refs/tags/v1-rc1", created), reason: trigger.ReasonTagExcluded},
		"tags, a branch":      {git: pushes(push{Tags: includes("**")}), event: move("refs/heads/v1"), reason: trigger.ReasonBranchPush},
		"other ref":           {git: pushes(), event: move("refs/notes/commits"), reason: trigger.ReasonOtherRef, message: "refs/notes/commits"},
		"no event":            {git: pushes(), event: &trigger.Event{}, reason: trigger.ReasonOtherRef},
		"deleted":             {git: pushes(), event: move("refs/heads/main", func(m *trigger.Move) { m.Deleted = true }), reason: trigger.ReasonRefDeleted, message: `branch "main" was deleted`},

		// AND inside of an entry: no push is one of a branch and of a tag.
		"branches and tags, a branch": {git: pushes(push{Branches: includes("**"), Tags: includes("**")}), event: move("refs/heads/main"), reason: trigger.ReasonBranchPush},
		"branches and tags, a tag":    {git: pushes(push{Branches: includes("**"), Tags: includes("**")}), event: move("refs/tags/v1", created), reason: trigger.ReasonTagPush},
		"files and tags, a tag":       {git: pushes(push{FilePaths: includes("**"), Tags: includes("**")}), event: move("refs/tags/v1", created), files: files("a"), reason: trigger.ReasonTagFiles},
		"files only, a tag":           {git: pushes(push{FilePaths: includes("**")}), event: move("refs/tags/v1", created), files: files("a"), reason: trigger.ReasonTagPush},
		// OR between entries.
		"second entry":     {git: pushes(push{Branches: includes("main")}, push{Tags: includes("v*")}), event: move("refs/tags/v1", created), reason: trigger.ReasonMatched, message: "push[1]", outcome: trigger.Matched},
		"furthest entry":   {git: pushes(push{Tags: includes("v*")}, push{Branches: both("**", "main")}), event: move("refs/heads/main"), reason: trigger.ReasonBranchExcluded, message: "push[1]"},
		"without files":    {git: pushes(push{Branches: includes("main"), FilePaths: includes("x")}, push{Branches: includes("main")}), event: move("refs/heads/main"), reason: trigger.ReasonMatched, message: "push[1]", outcome: trigger.Matched},
		"needs files":      {git: web(), event: move("refs/heads/main"), files: unknown, reason: trigger.ReasonNeedsFiles, outcome: trigger.Undecided},
		"needs no files":   {git: web(), event: move("refs/heads/dev"), files: unknown, reason: trigger.ReasonBranchNotIncluded},
		"file included":    {git: web(), event: move("refs/heads/main"), files: files("api/a", "web/README.md", "web/b.go"), reason: trigger.ReasonMatched, message: `file "web/b.go" matches "web/**"`, outcome: trigger.Matched},
		"file excluded":    {git: web(), event: move("refs/heads/main"), files: files("api/a", "web/README.md"), reason: trigger.ReasonFilesExcluded, message: `"web/README.md" by "**/*.md"`},
		"all excluded":     {git: web(), event: move("refs/heads/main"), files: files("web/README.md"), reason: trigger.ReasonFilesExcluded, message: "the only changed file \"web/README.md\" is excluded"},
		"no file included": {git: web(), event: move("refs/heads/main"), files: files("api/a", "b"), reason: trigger.ReasonFilesNotIncluded, message: `none of the 2 changed files, such as "api/a", matches "web/**"`},
		"no files":         {git: web(), event: move("refs/heads/main"), files: files(), reason: trigger.ReasonNoFiles},
		"file excludes":    {git: pushes(push{FilePaths: excludes("**/*.md")}), event: move("refs/heads/main"), files: files("README.md", "a.go"), reason: trigger.ReasonMatched, message: `"a.go" is not excluded`, outcome: trigger.Matched},
		"bytes":            {git: pushes(push{FilePaths: includes("a/*")}), event: move("refs/heads/main"), files: files("a/\xff\xfe"), reason: trigger.ReasonMatched, message: `"a/\xff\xfe"`, outcome: trigger.Matched},
		"unknown, starts":  {git: web(), event: move("refs/heads/main"), files: trigger.UnknownFiles("the base is gone"), reason: trigger.ReasonUnknownDiff, message: "the base is gone", outcome: trigger.Matched},
		"unknown, ignored": {
			git: with(web(), func(g *trigger.Git) { g.OnUnknownDiff = trigger.UnknownDiffIgnore }), event: move("refs/heads/main"),
			files: trigger.UnknownFiles("the base is gone"), reason: trigger.ReasonUnknownDiff, message: "on_unknown_diff is ignore",
		},

		"new branch compares": {git: web(), event: move("refs/heads/main", created), reason: trigger.ReasonNeedsFiles, outcome: trigger.Undecided},
		"new branch starts": {
			git: with(web(), func(g *trigger.Git) { g.NewBranch = trigger.NewBranchStart }), event: move("refs/heads/main", created),
			reason: trigger.ReasonMatched, message: "which is new", outcome: trigger.Matched,
		},
		"new branch is ignored": {
			git: with(web(), func(g *trigger.Git) { g.NewBranch = trigger.NewBranchIgnore }), event: move("refs/heads/main", created),
			files: files("web/a"), reason: trigger.ReasonNewBranch,
		},
		"new branch without files": {
			git: with(branches(includes("main")), func(g *trigger.Git) { g.NewBranch = trigger.NewBranchIgnore }), event: move("refs/heads/main", created),
			reason: trigger.ReasonMatched, outcome: trigger.Matched,
		},
		"tag moved": {git: pushes(push{Tags: includes("v*")}), event: move("refs/tags/v1"), reason: trigger.ReasonTagMoved, message: `tag "v1" moved from aaaaaaaaaaaa to bbbbbbbbbbbb`},
		"tag moved, allowed": {
			git: with(pushes(push{Tags: includes("v*")}), func(g *trigger.Git) { g.MovedTag = trigger.MovedTagAllow }), event: move("refs/tags/v1"),
			reason: trigger.ReasonMatched, outcome: trigger.Matched,
		},
		"tag moved that no entry has": {git: pushes(push{Tags: includes("v*")}), event: move("refs/tags/x"), reason: trigger.ReasonTagNotIncluded},

		"pull request":             {git: requests(request{}), event: pull(), reason: trigger.ReasonMatched, outcome: trigger.Matched},
		"pull request event":       {git: requests(request{Events: []string{"OPEN", "UPDATED"}}), event: pull(), reason: trigger.ReasonMatched, outcome: trigger.Matched},
		"pull request other event": {git: requests(request{Events: []string{"UPDATED", "CLOSED"}}), event: pull(), reason: trigger.ReasonEventNotIncluded, message: "the event is OPEN, and the entry has UPDATED, CLOSED"},
		"pull request destination": {git: requests(request{Branches: includes("main")}), event: pull(), reason: trigger.ReasonMatched, message: `destination branch "main"`, outcome: trigger.Matched},
		"pull request source":      {git: requests(request{Branches: includes("feature/*")}), event: pull(), reason: trigger.ReasonBranchNotIncluded},
		"pull request files":       {git: requests(request{FilePaths: includes("web/**")}), event: pull(), files: files("web/a"), reason: trigger.ReasonMatched, outcome: trigger.Matched},
		"pull request needs files": {git: requests(request{FilePaths: includes("web/**")}), event: pull(), reason: trigger.ReasonNeedsFiles, outcome: trigger.Undecided},
		"fork":                     {git: requests(request{}), event: pull(func(p *trigger.PullRequest) { p.Fork = true }), reason: trigger.ReasonFork, message: "pull request 7 comes from a fork"},
		"draft":                    {git: requests(request{}), event: pull(func(p *trigger.PullRequest) { p.Draft = true }), reason: trigger.ReasonMatched, outcome: trigger.Matched},
		"pull request, pushes":     {git: pushes(push{}), event: pull(), reason: trigger.ReasonNoPullRequestFilter},
		"pull request, no filters": {git: pushes(), event: pull(), reason: trigger.ReasonNoPullRequestFilter},
		"push, pull requests":      {git: requests(request{}), event: move("refs/heads/main"), reason: trigger.ReasonNoPushFilter},
	} {
		result := trigger.Match(c.git, c.event, c.files)
		assert.Equal(t, c.outcome, result.Outcome, name)
		assert.Equal(t, c.reason, result.Reason, name)
		assert.Contains(t, result.Message, c.message, name)
		assert.NotEmpty(t, result.Message, name)
		assert.Equal(t, c.outcome == trigger.Undecided, result.Needs != trigger.Needs{}, name)
	}
}

func TestEntries(t *testing.T) {
	t.Parallel()
	git := pushes(
		pipeline.GitPushFilter{Tags: includes("v*")},
		pipeline.GitPushFilter{Branches: includes("main"), FilePaths: includes("web/**")},
		pipeline.GitPushFilter{Branches: includes("dev")},
	)
	result := trigger.Match(git, move("refs/heads/main"), trigger.Files{})
	assert.Equal(t, trigger.Needs{Files: true}, result.Needs)
	assert.Equal(t, []trigger.EntryResult{
		{Entry: "push[0]", Reason: trigger.ReasonBranchPush, Message: `branch "main" was pushed, and the entry filters by tags`},
		{Entry: "push[1]", NeedsFiles: true, Reason: trigger.ReasonNeedsFiles, Message: `branch "main" matches "main", and the changed files are not known yet`},
		{Entry: "push[2]", Reason: trigger.ReasonBranchNotIncluded, Message: `branch "main" does not match "dev"`},
	}, result.Entries)
}

func TestSkipMarkers(t *testing.T) {
	t.Parallel()
	no := false
	for message, skips := range map[string]bool{
		"Fix it":                     false,
		"Fix it [skip ci]":           true,
		"[CI SKIP] Fix it":           true,
		"Fix [no ci] it":             true,
		"[skip-ci]":                  true,
		"[ci-skip]":                  true,
		"Fix it\n\n[skip ci]":        false,
		"Squash\n\n* a [skip ci]\n*": false,
		"Fix it\n\nBody\n\nSigned-off-by: a\nskip-checks: true": true,
		"Fix it\r\n\r\nSkip-Checks:true\r\n":                    true,
		"Fix it\n\nskip-checks: true\n\nBody":                   false,
		"Fix it\n\nskip-checks: false":                          false,
		"skip-checks: true":                                     false,
		"Fix\nthis [skip ci]\n\nBody":                           true,
		"":                                                      false,
	} {
		parsed := trigger.ParseMessage(message)
		branch := move("refs/heads/main", func(m *trigger.Move) { m.Head = &parsed })
		tag := move("refs/tags/v1", created, func(m *trigger.Move) { m.Head = &parsed })
		request := pull(func(p *trigger.PullRequest) { p.HeadMessage = &parsed })
		git := pushes(pipeline.GitPushFilter{}, pipeline.GitPushFilter{Tags: includes("**")})
		git.PullRequest = []pipeline.GitPullRequestFilter{{}}

		want := trigger.Matched
		if skips {
			want = trigger.NotMatched
		}
		for what, event := range map[string]*trigger.Event{"branch": branch, "pull request": request} {
			result := trigger.Match(git, event, trigger.Files{})
			assert.Equal(t, want, result.Outcome, "%s %q", what, message)
			if skips {
				assert.Equal(t, trigger.ReasonSkipMarker, result.Reason)
				assert.Contains(t, result.Message, "the head commit says")
			}
		}
		assert.Equal(t, trigger.Matched, trigger.Match(git, tag, trigger.Files{}).Outcome, "tag %q", message)
		git.SkipMarkers = &no
		assert.Equal(t, trigger.Matched, trigger.Match(git, branch, trigger.Files{}).Outcome, "off %q", message)
	}
}

// TestUnknownMessage asks for the message only if the decision depends on it.
func TestUnknownMessage(t *testing.T) {
	t.Parallel()
	unknown := func(m *trigger.Move) { m.Head = nil }
	git := pushes(pipeline.GitPushFilter{Branches: includes("main")}, pipeline.GitPushFilter{Branches: includes("x"), FilePaths: includes("a")})

	result := trigger.Match(git, move("refs/heads/main", unknown), trigger.Files{})
	assert.Equal(t, trigger.Undecided, result.Outcome)
	assert.Equal(t, trigger.Needs{Message: true}, result.Needs)
	result = trigger.Match(git, move("refs/heads/x", unknown), trigger.Files{})
	assert.Equal(t, trigger.Needs{Message: true, Files: true}, result.Needs)
	result = trigger.Match(git, move("refs/heads/dev", unknown), trigger.Files{})
	assert.Equal(t, trigger.NotMatched, result.Outcome)
	result = trigger.Match(git, move("refs/heads/x", func(m *trigger.Move) { m.Head = &trigger.Message{Subject: "[skip ci]"} }), trigger.Files{})
	assert.Equal(t, trigger.ReasonSkipMarker, result.Reason, "files are not computed for a skipped push")
}
