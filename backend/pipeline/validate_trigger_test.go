package pipeline_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/catalog"
)

func trigger() pipeline.Trigger {
	return pipeline.Trigger{ProviderType: "CodeStarSourceConnection", GitConfiguration: &pipeline.GitConfiguration{
		SourceActionName: "Checkout",
		Push: []pipeline.GitPushFilter{
			{
				Branches:  &pipeline.GlobFilter{Includes: []string{"main", "release/**"}, Excludes: []string{"release/old-*"}},
				FilePaths: &pipeline.GlobFilter{Includes: []string{"src/{a,b}/*.go"}},
			},
			{Tags: &pipeline.GlobFilter{Includes: []string{"v[0-9]*"}}},
		},
		PullRequest: []pipeline.GitPullRequestFilter{{
			Events: []string{"OPEN", "UPDATED"}, Branches: &pipeline.GlobFilter{Includes: []string{"main"}},
		}},
	}}
}

// watched returns a catalog with a source that is watched through a connection and one that
// is not.
func watched() *pipeline.Catalog {
	properties := []pipeline.Property{
		{Name: "Connection"},
		{Name: "Repository"},
		{Name: "Branch"},
		{Name: "Commit"},
		{Name: "Detect", Type: pipeline.PropertyBoolean},
	}
	watch := pipeline.Watch{
		Connection: "Connection", Repository: []string{"Repository"}, Branch: "Branch", Detect: "Detect", Pins: []string{"Commit"},
	}
	declared := watch
	declared.Triggers = true
	id := func(provider string) pipeline.TypeID {
		return pipeline.TypeID{Category: pipeline.CategorySource, Owner: "Test", Provider: provider, Version: "1"}
	}
	return catalog.Builtin().With(
		pipeline.Type{ID: id("Watched"), Work: pipeline.WorkAttempt, Properties: properties, MaxOutputs: 1, Watch: &declared},
		pipeline.Type{ID: id("Polled"), Work: pipeline.WorkAttempt, Properties: properties, MaxOutputs: 1, Watch: &watch},
		pipeline.Type{ID: id("Bucket"), Work: pipeline.WorkAttempt, MaxOutputs: 1},
	)
}

// triggered returns a definition with a trigger on its source.
func triggered() *pipeline.Definition {
	def := base()
	use(source(def), "Watched", map[string]string{"Connection": "accounts/dev/connections/forge", "Repository": "acme/web", "Branch": "main"})
	def.Triggers = []pipeline.Trigger{trigger()}
	return def
}

func use(a *pipeline.Action, provider string, configuration map[string]string) {
	a.Owner, a.Provider, a.Configuration, a.OnLost, a.Namespace = "Test", provider, configuration, "", ""
}

func TestValidTriggers(t *testing.T) {
	t.Parallel()
	// The source publishes no variables, so the rest of the definition cannot use them.
	valid := func(change func(d *pipeline.Definition)) {
		t.Helper()
		def := triggered()
		def.Stages[1].Actions[0].EnvironmentVariables = nil
		change(def)
		require.NoError(t, pipeline.Validate(def, watched()))
	}
	valid(func(*pipeline.Definition) {})
	valid(func(d *pipeline.Definition) { d.Triggers[0].GitConfiguration.Push = nil })
	valid(func(d *pipeline.Definition) {
		git := d.Triggers[0].GitConfiguration
		git.Push = repeat(50, func(int) pipeline.GitPushFilter { return pipeline.GitPushFilter{} })
		git.PullRequest = repeat(50, func(int) pipeline.GitPullRequestFilter { return pipeline.GitPullRequestFilter{} })
		git.Push[0].Branches = &pipeline.GlobFilter{Includes: repeat(100, numbered("b")), Excludes: repeat(100, numbered("x"))}
		git.Push[0].FilePaths = &pipeline.GlobFilter{Includes: []string{strings.Repeat("ä", 255)}}
	})
	valid(func(d *pipeline.Definition) { d.Triggers = nil; source(d).Configuration["Detect"] = "true" })
	valid(func(d *pipeline.Definition) {
		source(d).Configuration["Detect"] = "false"
		delete(source(d).Configuration, "Branch")
	})
	valid(func(d *pipeline.Definition) { source(d).Configuration["Connection"] = pipeline.Unknown })
	valid(func(d *pipeline.Definition) {
		source(d).Configuration = map[string]string{pipeline.Unknown: pipeline.Unknown}
	})
}

func TestTriggerRules(t *testing.T) {
	t.Parallel()
	type D = pipeline.Definition
	with := func(change func(t *pipeline.Trigger)) func(d *D) {
		return func(d *D) { change(&d.Triggers[0]) }
	}
	const git = "triggers[0].git_configuration"
	for _, r := range []rule{
		{"too many", func(d *D) { d.Triggers = repeat(51, func(int) pipeline.Trigger { return trigger() }) }, "triggers", "at most 50"},
		{"provider", with(func(t *pipeline.Trigger) { t.ProviderType = "GitHub" }), "triggers[0].provider_type", "CodeStarSourceConnection"},
		{"no configuration", with(func(t *pipeline.Trigger) { t.GitConfiguration = nil }), git, "is missing"},
		{"no source action", with(func(t *pipeline.Trigger) { t.GitConfiguration.SourceActionName = "" }), git + ".source_action_name", "is missing"},
		{"unknown source action", with(func(t *pipeline.Trigger) { t.GitConfiguration.SourceActionName = "Checkou" }), git + ".source_action_name", `did you mean "Checkout"?`},
		{"source that is not watched", func(d *D) { use(source(d), "Bucket", nil) }, git + ".source_action_name", "which triggers do not watch; use Source/AWS/CodeStarSourceConnection/1, Source/Headrace/Git/1"},
		{"source that is only polled", func(d *D) { source(d).Provider = "Polled" }, git + ".source_action_name", "has the type Source/Test/Polled/1"},
		{"source without connection", func(d *D) { delete(source(d).Configuration, "Connection") }, git + ".source_action_name", `has no configuration key "Connection"`},
		{
			"detection without connection", func(d *D) { d.Triggers = nil; source(d).Configuration = map[string]string{"Detect": "true"} },
			`stages[0].actions[0].configuration["Detect"]`, "needs a connection",
		},
		{
			"detection of a commit", func(d *D) { source(d).Configuration["Detect"] = "true"; source(d).Configuration["Commit"] = "a" },
			`stages[0].actions[0].configuration["Detect"]`, "Commit names what never changes",
		},
		{
			"detection that is no boolean", func(d *D) { source(d).Configuration["Detect"] = "yes" },
			`stages[0].actions[0].configuration["Detect"]`, "write true or false",
		},
		{
			"rule 16: source action twice", func(d *D) { d.Triggers = []pipeline.Trigger{trigger(), trigger()} },
			"triggers[1].git_configuration.source_action_name", "more than one trigger",
		},
		{"too many push filters", with(func(t *pipeline.Trigger) { t.GitConfiguration.Push = make([]pipeline.GitPushFilter, 51) }), git + ".push", "at most 50"},
		{"too many pull request filters", with(func(t *pipeline.Trigger) {
			t.GitConfiguration.PullRequest = make([]pipeline.GitPullRequestFilter, 51)
		}), git + ".pull_request", "at most 50"},
		{"event", with(func(t *pipeline.Trigger) { t.GitConfiguration.PullRequest[0].Events[0] = "MERGED" }), git + ".pull_request[0].events[0]", "use one of OPEN"},
		{"event twice", with(func(t *pipeline.Trigger) { t.GitConfiguration.PullRequest[0].Events[0] = "UPDATED" }), git + ".pull_request[0].events[1]", "more than once"},
		{"too many events", with(func(t *pipeline.Trigger) {
			t.GitConfiguration.PullRequest[0].Events = []string{"OPEN", "UPDATED", "CLOSED", "OPEN"}
		}), git + ".pull_request[0].events", "at most 3"},
		{"too many patterns", with(func(t *pipeline.Trigger) {
			t.GitConfiguration.Push[0].Branches.Includes = repeat(101, numbered("b"))
		}), git + ".push[0].branches.includes", "at most 100"},
		{"pattern empty", with(func(t *pipeline.Trigger) { t.GitConfiguration.Push[1].Tags.Includes[0] = "" }), git + ".push[1].tags.includes[0]", "empty"},
		{"pattern too long", with(func(t *pipeline.Trigger) {
			t.GitConfiguration.Push[0].Branches.Excludes[0] = strings.Repeat("x", 256)
		}), git + ".push[0].branches.excludes[0]", "at most 255"},
		{"pattern invalid", with(func(t *pipeline.Trigger) { t.GitConfiguration.Push[0].FilePaths.Includes[0] = "{a" }), git + ".push[0].file_paths.includes[0]", "a { has no closing }"},
		{"nested groups", with(func(t *pipeline.Trigger) { t.GitConfiguration.Push[0].FilePaths.Includes[0] = "{a,{b,c}}" }), git + ".push[0].file_paths.includes[0]", "cannot be nested"},
		{"patterns too large", func(d *D) {
			globs := &pipeline.GlobFilter{Includes: repeat(100, func(int) string { return strings.Repeat("x", 255) })}
			d.Triggers[0].GitConfiguration.Push = repeat(9, func(int) pipeline.GitPushFilter { return pipeline.GitPushFilter{Branches: globs} })
		}, "triggers", "at most 204800"},
	} {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			def := triggered()
			r.change(def)
			requireViolation(t, pipeline.Validate(def, watched()), r.path, r.want)
		})
	}
}

func TestValidateGitFilters(t *testing.T) {
	t.Parallel()
	git := trigger().GitConfiguration
	require.NoError(t, pipeline.ValidateGitFilters(git.Push, git.PullRequest))
	git.Push[0].Branches.Includes[1] = "["
	git.PullRequest[0].Events[1] = "MERGED"
	err := pipeline.ValidateGitFilters(git.Push, git.PullRequest)
	requireViolation(t, err, "push[0].branches.includes[1]", "a [ has no closing ]")
	requireViolation(t, err, "pull_request[0].events[1]", "use one of OPEN")
	require.Len(t, violations(t, err), 2)
}

func TestTriggerWarnings(t *testing.T) {
	t.Parallel()
	type (
		push = pipeline.GitPushFilter
		pull = pipeline.GitPullRequestFilter
	)
	list := func(patterns ...string) *pipeline.GlobFilter { return &pipeline.GlobFilter{Includes: patterns} }
	opaque := &pipeline.GlobFilter{Includes: []string{pipeline.Unknown}, Excludes: []string{pipeline.Unknown}}
	refs := &pipeline.KnownRefs{Branches: []string{"trunk", "feature/x", "Release"}, Tags: []string{"v1.0"}, DefaultBranch: "trunk"}
	for name, c := range map[string]struct {
		push    []push
		pull    []pull
		refs    *pipeline.KnownRefs
		path    string
		reason  pipeline.Reason
		message string
	}{
		"branches and tags":    {push: []push{{}, {Branches: list("main"), Tags: list("v*")}}, path: "push[1].tags", reason: pipeline.WarningTriggerNeverMatches, message: "push 2: the entry filters by branches and by tags"},
		"files of tags":        {push: []push{{FilePaths: list("a"), Tags: list("v*")}}, path: "push[0].file_paths", reason: pipeline.WarningTriggerNeverMatches, message: "a push of a tag changes no files"},
		"all excluded":         {push: []push{{Branches: &pipeline.GlobFilter{Includes: []string{"a"}, Excludes: []string{"b", "a"}}}}, path: "push[0].branches.excludes", reason: pipeline.WarningTriggerNeverMatches, message: "excludes everything"},
		"all files excluded":   {pull: []pull{{FilePaths: &pipeline.GlobFilter{Excludes: []string{"**"}}}}, path: "pull_request[0].file_paths.excludes", reason: pipeline.WarningTriggerNeverMatches},
		"renamed default":      {push: []push{{Branches: list("main")}}, refs: refs, path: "push[0].branches.includes[0]", reason: pipeline.WarningTriggerMatchesNoRef, message: `pattern "main" matches no branch of the repository: its default branch is "trunk"`},
		"slash":                {push: []push{{Branches: list("trunk", "feature*")}}, refs: refs, path: "push[0].branches.includes[1]", reason: pipeline.WarningTriggerMatchesNoRef, message: `* does not stand for a slash, as in "feature/x"; write "feature**"`},
		"case":                 {push: []push{{Branches: list("release")}}, refs: refs, path: "push[0].branches.includes[0]", reason: pipeline.WarningTriggerMatchesNoRef, message: "case matters"},
		"typo":                 {push: []push{{Branches: list("trunc")}}, refs: refs, path: "push[0].branches.includes[0]", reason: pipeline.WarningTriggerMatchesNoRef, message: `did you mean "trunk"?`},
		"no branch":            {push: []push{{Branches: list("hotfix/**")}}, refs: refs, path: "push[0].branches", reason: pipeline.WarningTriggerMatchesNoRef, message: `push 1: the entry matches no branch that the repository has now, such as "trunk"`},
		"no tag":               {push: []push{{Tags: list("rc-*")}}, refs: refs, path: "push[0].tags", reason: pipeline.WarningTriggerMatchesNoRef, message: `push 1: the entry matches no tag`},
		"pull request":         {pull: []pull{{Branches: list("hotfix/**")}}, refs: refs, path: "pull_request[0].branches", reason: pipeline.WarningTriggerMatchesNoRef},
		"excluded branch":      {push: []push{{Branches: &pipeline.GlobFilter{Includes: []string{"t*"}, Excludes: []string{"tr*"}}}}, refs: refs, path: "push[0].branches", reason: pipeline.WarningTriggerMatchesNoRef},
		"matches":              {push: []push{{Branches: list("trunk", "hotfix/**")}, {Tags: list("v*")}, {}}, pull: []pull{{}}, refs: refs},
		"no refs":              {push: []push{{Branches: list("main")}}},
		"no tags yet":          {push: []push{{Tags: list("v*")}}, refs: &pipeline.KnownRefs{Branches: []string{"main"}}},
		"ref of a branch":      {push: []push{{Branches: list("main", "refs/heads/main")}}, path: "push[0].branches.includes[1]", reason: pipeline.WarningTriggerNeverMatches, message: `none begins with refs/heads/; write "main"`},
		"ref of a tag":         {push: []push{{Tags: &pipeline.GlobFilter{Excludes: []string{"refs/tags/v0*"}}}}, path: "push[0].tags.excludes[0]", reason: pipeline.WarningTriggerNeverMatches, message: `write "v0*"`},
		"root of files":        {push: []push{{FilePaths: list("/web/**")}}, path: "push[0].file_paths.includes[0]", reason: pipeline.WarningTriggerNeverMatches, message: `none begins with /; write "web/**"`},
		"files from here":      {pull: []pull{{FilePaths: list("./web/**")}}, path: "pull_request[0].file_paths.includes[0]", reason: pipeline.WarningTriggerNeverMatches, message: `write "web/**"`},
		"unknown block":        {push: []push{{Branches: opaque, FilePaths: opaque, Tags: opaque}}, refs: refs},
		"unknown pattern":      {push: []push{{Branches: list("hotfix/**", pipeline.Unknown)}}, refs: refs},
		"excludes are unknown": {push: []push{{Branches: &pipeline.GlobFilter{Includes: []string{"trunk"}, Excludes: []string{pipeline.Unknown}}}}, refs: refs},
	} {
		warnings := pipeline.GitFilterWarnings(c.push, c.pull, c.refs)
		if c.reason == "" {
			require.Empty(t, warnings, name)
			continue
		}
		require.Len(t, warnings, 1, name)
		require.Equal(t, c.path, warnings[0].Path.String(), name)
		require.Equal(t, c.reason, warnings[0].Reason, name)
		require.Contains(t, warnings[0].Message, c.message, name)
		require.NotEmpty(t, warnings[0].Summary)
		require.NotEmpty(t, pipeline.WarningSummary(warnings[0].Reason))

		def := triggered()
		def.Triggers[0].GitConfiguration.Push, def.Triggers[0].GitConfiguration.PullRequest = c.push, c.pull
		inline := pipeline.TriggerWarnings(def, func(source string) *pipeline.KnownRefs {
			require.Equal(t, "Checkout", source)
			return c.refs
		})
		require.Len(t, inline, 1, name)
		require.Equal(t, "triggers[0].git_configuration."+c.path, inline[0].Path.String(), name)
		require.Contains(t, inline[0].Message, "trigger 1, ", name)
	}
}

func TestWarningDetectionOff(t *testing.T) {
	t.Parallel()
	def := triggered()
	require.Empty(t, pipeline.Warnings(def, watched()))
	source(def).Configuration["Detect"] = "true"
	warnings := pipeline.Warnings(def, watched())
	require.Len(t, warnings, 1)
	require.Equal(t, pipeline.WarningDetectionOff, warnings[0].Reason)
	require.Equal(t, `stages[0].actions[0].configuration["Detect"]`, warnings[0].Path.String())
	require.Contains(t, warnings[0].Message, "Detect has no effect")
}

func TestWarningNotWatched(t *testing.T) {
	t.Parallel()
	def := triggered()
	def.Triggers = nil
	use(source(def), "Polled", map[string]string{"Repository": "acme/#{variables.name}", "Detect": "true"})
	types := watched()
	polled, _ := types.Lookup(source(def).TypeID())
	polled.Watch = &pipeline.Watch{Token: "Token", Repository: []string{"Repository"}, Detect: "Detect"}
	types = pipeline.NewCatalog(append(types.Actions(), polled)...)
	warnings := pipeline.Warnings(def, types)
	require.Len(t, warnings, 1)
	require.Equal(t, pipeline.WarningNotWatched, warnings[0].Reason)
	require.Equal(t, `stages[0].actions[0].configuration["Detect"]`, warnings[0].Path.String())
	require.Contains(t, warnings[0].Message, "the name of the repository depends on variables")

	source(def).Configuration["Detect"] = "false"
	require.Empty(t, pipeline.Warnings(def, types))
	source(def).Configuration["Detect"], source(def).Configuration["Repository"] = "true", "acme/web"
	require.Empty(t, pipeline.Warnings(def, types), "it is polled with its token")
}

func TestWarningBranchNotWatched(t *testing.T) {
	t.Parallel()
	def := triggered()
	source(def).Configuration["Branch"], source(def).Configuration["Detect"] = "release/#{variables.name}", "true"
	warns := func(path, message string) {
		t.Helper()
		warnings := pipeline.Warnings(def, watched())
		require.Len(t, warnings, 1)
		require.Equal(t, pipeline.WarningNotWatched, warnings[0].Reason)
		require.Equal(t, path, warnings[0].Path.String())
		require.Contains(t, warnings[0].Message, message)
	}
	blocks := def.Triggers
	def.Triggers = nil
	warns(`stages[0].actions[0].configuration["Branch"]`, "the branch depends on variables, which have values in an execution only; "+
		"write the name itself in Branch, or add a trigger block whose push block names the branches, or set Detect to false")
	source(def).Provider = "Polled"
	warns(`stages[0].actions[0].configuration["Branch"]`, "write the name itself in Branch, or set Detect to false")
	source(def).Configuration["Detect"] = "false"
	require.Empty(t, pipeline.Warnings(def, watched()))

	// A trigger block watches the branch of the action only without filters.
	source(def).Provider, def.Triggers = "Watched", blocks
	require.Empty(t, pipeline.Warnings(def, watched()))
	def.Triggers[0].GitConfiguration.Push, def.Triggers[0].GitConfiguration.PullRequest = nil, nil
	warns("triggers[0].git_configuration.source_action_name", `which is "release/#{variables.name}" and depends on variables`)
	def.Triggers[0].GitConfiguration.SourceActionName = pipeline.Unknown
	require.Empty(t, pipeline.Warnings(def, watched()))
}
