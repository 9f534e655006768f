package trigger_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

// The model says what Match has to say, in the words of CodePipeline's guide and of the
// issue, one sentence after the other. It shares no code with Match: patterns are regular
// expressions, and everything is computed whether it is needed or not.

// modelGlob knows * and ** only.
func modelGlob(pattern, name string) bool {
	text := regexp.QuoteMeta(pattern)
	text = strings.ReplaceAll(text, `\*\*/`, `(.*/)?`)
	text = strings.ReplaceAll(text, `\*\*`, `.*`)
	text = strings.ReplaceAll(text, `\*`, `[^/]*`)
	return regexp.MustCompile(`^` + text + `$`).MatchString(name)
}

// modelFilter: no filter matches anything; excludes win; no includes include anything.
func modelFilter(filter *pipeline.GlobFilter, name string) bool {
	if filter == nil {
		return true
	}
	included := len(filter.Includes) == 0
	for _, pattern := range filter.Includes {
		included = included || modelGlob(pattern, name)
	}
	for _, pattern := range filter.Excludes {
		included = included && !modelGlob(pattern, name)
	}
	return included
}

// modelFiles: one changed file that is included and not excluded is enough.
func modelFiles(filter *pipeline.GlobFilter, git *trigger.Git, files trigger.Files) bool {
	if filter == nil {
		return true
	}
	if files.State == trigger.FilesUnknown {
		return git.OnUnknownDiff != trigger.UnknownDiffIgnore
	}
	for _, path := range files.Paths {
		if modelFilter(filter, string(path)) {
			return true
		}
	}
	return false
}

func modelStarts(git *trigger.Git, event *trigger.Event, files trigger.Files) bool {
	skipped := func(m *trigger.Message) bool {
		return (git.SkipMarkers == nil || *git.SkipMarkers) && strings.Contains(m.Subject, "[skip ci]")
	}
	if pr := event.PullRequest; pr != nil {
		for _, entry := range git.PullRequest {
			event := len(entry.Events) == 0
			for _, e := range entry.Events {
				event = event || e == string(pr.Event)
			}
			if event && modelFilter(entry.Branches, pr.Destination) && modelFiles(entry.FilePaths, git, files) && !pr.Fork && !skipped(pr.HeadMessage) {
				return true
			}
		}
		return false
	}
	move := event.Move
	tag := strings.HasPrefix(move.Ref, "refs/tags/")
	name := move.Ref[strings.LastIndex(move.Ref, "s/")+2:]
	if move.Deleted || !tag && skipped(move.Head) {
		return false
	}
	if len(git.Push) == 0 && len(git.PullRequest) == 0 {
		return !tag && (!git.DefaultBranchOnly || name == move.DefaultBranch)
	}
	for _, entry := range git.Push {
		switch {
		case tag && entry.Tags != nil && entry.Branches == nil && entry.FilePaths == nil:
			if modelFilter(entry.Tags, name) && (move.Created || git.MovedTag == trigger.MovedTagAllow) {
				return true
			}
		case tag || entry.Tags != nil || !modelFilter(entry.Branches, name):
		case entry.FilePaths == nil:
			return true
		case move.Created && git.NewBranch == trigger.NewBranchStart:
			return true
		case move.Created && git.NewBranch == trigger.NewBranchIgnore:
		case modelFiles(entry.FilePaths, git, files):
			return true
		}
	}
	return false
}

func drawGlobs(t *rapid.T, label string) *pipeline.GlobFilter {
	if rapid.IntRange(0, 2).Draw(t, label) == 0 {
		return nil
	}
	patterns := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a/b", "*", "**", "a*", "*/b", "a/**", "**/b", "**/a/*"}), 0, 2)
	return &pipeline.GlobFilter{Includes: patterns.Draw(t, label+" includes"), Excludes: patterns.Draw(t, label+" excludes")}
}

func drawGit(t *rapid.T) *trigger.Git {
	no := false
	return &trigger.Git{
		Push: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pipeline.GitPushFilter {
			return pipeline.GitPushFilter{Branches: drawGlobs(t, "branches"), FilePaths: drawGlobs(t, "files"), Tags: drawGlobs(t, "tags")}
		}), 0, 3).Draw(t, "push"),
		PullRequest: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) pipeline.GitPullRequestFilter {
			return pipeline.GitPullRequestFilter{
				Events:   rapid.SliceOfN(rapid.SampledFrom([]string{"OPEN", "UPDATED", "CLOSED"}), 0, 2).Draw(t, "events"),
				Branches: drawGlobs(t, "branches"), FilePaths: drawGlobs(t, "files"),
			}
		}), 0, 2).Draw(t, "pull requests"),
		NewBranch:         rapid.SampledFrom([]trigger.NewBranch{"", trigger.NewBranchCompareDefault, trigger.NewBranchStart, trigger.NewBranchIgnore}).Draw(t, "new branch"),
		MovedTag:          rapid.SampledFrom([]trigger.MovedTag{"", trigger.MovedTagRefuse, trigger.MovedTagAllow}).Draw(t, "moved tag"),
		OnUnknownDiff:     rapid.SampledFrom([]trigger.UnknownDiff{"", trigger.UnknownDiffStart, trigger.UnknownDiffIgnore}).Draw(t, "unknown diff"),
		SkipMarkers:       rapid.SampledFrom([]*bool{nil, &no}).Draw(t, "skip markers"),
		DefaultBranchOnly: rapid.Bool().Draw(t, "default branch only"),
	}
}

func drawEvent(t *rapid.T) *trigger.Event {
	message := &trigger.Message{Subject: rapid.SampledFrom([]string{"Fix", "Fix", "Fix [skip ci]"}).Draw(t, "subject")}
	name := rapid.SampledFrom([]string{"a", "b", "a/b", "a/a/b", "c"}).Draw(t, "name")
	if rapid.Bool().Draw(t, "pull request") {
		return &trigger.Event{PullRequest: &trigger.PullRequest{
			Number: 1, Destination: name, Source: "x", HeadMessage: message, Fork: rapid.IntRange(0, 4).Draw(t, "fork") == 0,
			Event: rapid.SampledFrom([]trigger.PullRequestEvent{"OPEN", "UPDATED", "CLOSED"}).Draw(t, "event"),
		}}
	}
	return &trigger.Event{Move: &trigger.Move{
		Ref:     rapid.SampledFrom([]string{"refs/heads/", "refs/tags/"}).Draw(t, "kind") + name,
		Created: rapid.Bool().Draw(t, "created"), Deleted: rapid.IntRange(0, 5).Draw(t, "deleted") == 0,
		DefaultBranch: "a", Head: message,
	}}
}

func drawFiles(t *rapid.T) trigger.Files {
	if rapid.IntRange(0, 4).Draw(t, "unknown files") == 0 {
		return trigger.UnknownFiles("the base is gone")
	}
	return files(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "a/b", "b/a", "a/a/b", "c/a/x", "x"}), 0, 4).Draw(t, "files")...)
}

// TestModel compares with the model. It also holds that an event is decided without files or
// message only if the decision would be the same with any, and that a decision says why.
func TestModel(t *testing.T) {
	t.Parallel()
	outcomes := make(map[trigger.Outcome]int)
	rapid.Check(t, func(t *rapid.T) {
		git, event, changed := drawGit(t), drawEvent(t), drawFiles(t)
		want := modelStarts(git, event, changed)
		result := trigger.Match(git, event, changed)
		require.NotEqual(t, trigger.Undecided, result.Outcome)
		require.Equal(t, want, result.Outcome == trigger.Matched, "%s", result.Message)
		require.NotEmpty(t, result.Message)
		require.NotEmpty(t, result.Reason)
		outcomes[result.Outcome]++
		require.Equal(t, result, trigger.Match(git, event, changed), "the same decision twice")

		hidden := *event
		if event.Move != nil {
			move := *event.Move
			move.Head, hidden.Move = nil, &move
		} else {
			pr := *event.PullRequest
			pr.HeadMessage, hidden.PullRequest = nil, &pr
		}
		for _, partial := range []struct {
			event *trigger.Event
			files trigger.Files
		}{{event, trigger.Files{}}, {&hidden, changed}, {&hidden, trigger.Files{}}} {
			early := trigger.Match(git, partial.event, partial.files)
			if early.Outcome == trigger.Undecided {
				require.True(t, early.Needs.Files && partial.files.State == trigger.FilesNotComputed || early.Needs.Message && partial.event == &hidden)
				continue
			}
			require.Equal(t, want, early.Outcome == trigger.Matched, "%s", early.Message)
		}
	})
	// What is drawn must not be all of one kind.
	require.Greater(t, outcomes[trigger.Matched], 5)
	require.Greater(t, outcomes[trigger.NotMatched], 5)
}

// FuzzMatch holds that no names, patterns or messages make a decision panic, and that what
// an event says is bounded in messages.
func FuzzMatch(f *testing.F) {
	f.Add("refs/heads/main", "main", "web/**", "web/a.go", "Fix [skip ci]\n\nskip-checks: true")
	f.Add("refs/tags/v1", "v[0-9]*", "{a,b}", "a\xff", "")
	f.Add("refs/heads/\x1b[31m", "**", "[!a]", strings.Repeat("x/", 3000), "\r\n\r\n:")
	f.Add("", "", "", "", "")
	f.Fuzz(func(t *testing.T, ref, branch, file, path, message string) {
		parsed := trigger.ParseMessage(message)
		globs := &pipeline.GlobFilter{Includes: []string{branch}, Excludes: []string{file}}
		git := &trigger.Git{
			Push:        []pipeline.GitPushFilter{{Branches: globs}, {Tags: globs}, {FilePaths: &pipeline.GlobFilter{Includes: []string{file}}}},
			PullRequest: []pipeline.GitPullRequestFilter{{Branches: globs, FilePaths: globs}},
		}
		for _, event := range []*trigger.Event{
			{Move: &trigger.Move{Ref: ref, Created: true, Head: &parsed}},
			{PullRequest: &trigger.PullRequest{Destination: ref, Event: trigger.PullRequestEvent(branch), Title: path, HeadMessage: &parsed}},
		} {
			result := trigger.Match(git, event, files(path, path+file))
			if result.Message == "" || len(result.Message) > 8000 {
				t.Errorf("a message of %d bytes", len(result.Message))
			}
			if _, err := trigger.MapGit(map[string]string{"V": "=event.branch + event.title"}, event); err == nil && ref == "" && path == "" {
				t.Error("an empty value")
			}
		}
	})
}

// FuzzGeneric holds that no body makes a decision panic or take long.
func FuzzGeneric(f *testing.F) {
	for _, body := range []string{
		released, `{"a": 1e999, "b": -0, "c": 123456789012345678901234567890}`, `{"a\u0000": "\u0000", "a": "\ud800"}`,
		strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64), "[" + strings.Repeat("[],", 100) + "[]]", "\xff\xfe", "null", "1", `""`, "{} x",
	} {
		f.Add([]byte(body), "$..name", "$.commits[?@.id == 'b'].id", `body.a == body.b || has(body.c)`)
	}
	f.Add([]byte(`{"a": [1, 2]}`), "$[*,*][*,*]", "$..[?@.a]", `body.a.exists(x, x in body.a)`)
	f.Fuzz(func(t *testing.T, text []byte, first, second, when string) {
		body, err := trigger.ParseBody(text, map[string]string{"X-\xff": string(text)})
		if err != nil {
			return
		}
		declared := &trigger.Declaration{
			Generic: &trigger.Generic{
				Webhook: "w", Filters: []trigger.GenericFilter{{JSONPath: first, MatchEquals: "x"}, {JSONPath: second, MatchEquals: "{y}"}}, When: when,
			},
			Variables: map[string]string{"V": "=" + when},
		}
		valid := declared.Validate() == nil
		result := trigger.MatchGeneric(declared.Generic, body, map[string]string{"y": "b"})
		if result.Message == "" || len(result.Message) > 3000 || strings.ContainsAny(result.Message, "\x00\x1b\n") {
			t.Errorf("message %q", result.Message)
		}
		if valid && result.Reason == trigger.ReasonInvalidFilter {
			t.Errorf("valid, but %s", result.Message)
		}
		_, _ = trigger.MapGeneric(declared.Generic, declared.Variables, body)
	})
}
