package trigger_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/trigger"
)

func gitDeclaration() *trigger.Declaration {
	return &trigger.Declaration{
		Git: &trigger.Git{
			SourceAction: "Checkout", NewBranch: trigger.NewBranchStart, MovedTag: trigger.MovedTagAllow,
			OnUnknownDiff: trigger.UnknownDiffIgnore, Coalesce: trigger.CoalesceEach,
			Push: []pipeline.GitPushFilter{{Branches: includes("main")}},
		},
		Variables: map[string]string{"Environment": "staging", "Branch": "=event.branch"},
	}
}

func genericDeclaration() *trigger.Declaration {
	return &trigger.Declaration{
		Generic: &trigger.Generic{
			Webhook: "accounts/dev/webhooks/registry",
			Filters: []trigger.GenericFilter{{JSONPath: "$.ref", MatchEquals: "refs/heads/{Branch}"}},
			When:    `body.action == "published"`, SourceRevisions: map[string]string{"Checkout": "body.commit"}, IdempotencyKey: "body.id",
		},
		Variables: map[string]string{"Environment": "=body.environment", "Branch": "x"},
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	require.NoError(t, gitDeclaration().Validate())
	require.NoError(t, genericDeclaration().Validate())

	type D = trigger.Declaration
	long := strings.Repeat("x", 5000)
	for name, c := range map[string]struct {
		start      func() *D
		change     func(d *D)
		path, want string
	}{
		"nothing":             {gitDeclaration, func(d *D) { d.Git = nil; d.Variables = nil }, "", "says nothing"},
		"both":                {gitDeclaration, func(d *D) { d.Generic = genericDeclaration().Generic }, "", "write two triggers"},
		"description":         {gitDeclaration, func(d *D) { d.Description = long }, "description", "more than 1000"},
		"source action":       {gitDeclaration, func(d *D) { d.Git.SourceAction = "" }, "git.source_action", "is missing"},
		"address":             {gitDeclaration, func(d *D) { d.Git.Repository = "https://github.com/acme/web.git" }, "git.repository", "is an address; write only its path"},
		"which expression":    {gitDeclaration, func(d *D) { d.Variables["Branch"] = "=1 +" }, `variables["Branch"]`, `variable "Branch": line 1`},
		"new_branch":          {gitDeclaration, func(d *D) { d.Git.NewBranch = "x" }, "git.new_branch", "use one of compare_default, start, ignore"},
		"moved_tag":           {gitDeclaration, func(d *D) { d.Git.MovedTag = "x" }, "git.moved_tag", "use one of refuse, allow"},
		"on_unknown_diff":     {gitDeclaration, func(d *D) { d.Git.OnUnknownDiff = "x" }, "git.on_unknown_diff", "use one of start, ignore"},
		"coalesce":            {gitDeclaration, func(d *D) { d.Git.Coalesce = "x" }, "git.coalesce", "use one of latest, each"},
		"pattern":             {gitDeclaration, func(d *D) { d.Git.Push[0].Branches.Includes[0] = "[" }, "git.push[0].branches.includes[0]", "no closing ]"},
		"expression of git":   {gitDeclaration, func(d *D) { d.Variables["Branch"] = "=body.branch" }, `variables["Branch"]`, "an expression knows event.author, event.branch"},
		"unknown field":       {gitDeclaration, func(d *D) { d.Variables["Branch"] = "=event.brnch" }, `variables["Branch"]`, "there is no event.brnch; the event has event.author, event.branch"},
		"value":               {gitDeclaration, func(d *D) { d.Variables["Branch"] = "" }, `variables["Branch"]`, "is empty"},
		"value with a NUL":    {gitDeclaration, func(d *D) { d.Variables["Branch"] = "\x00" }, `variables["Branch"]`, "NUL"},
		"long value":          {gitDeclaration, func(d *D) { d.Variables["Branch"] = long }, `variables["Branch"]`, "at most 1000"},
		"too many variables":  {gitDeclaration, func(d *D) { d.Variables = many(51) }, "variables", "at most 50"},
		"webhook":             {genericDeclaration, func(d *D) { d.Generic.Webhook = "" }, "webhook.webhook", "is missing"},
		"too many filters":    {genericDeclaration, func(d *D) { d.Generic.Filters = make([]trigger.GenericFilter, 51) }, "webhook.filters", "at most 50"},
		"no path":             {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "" }, "webhook.filters[0].json_path", "is empty"},
		"script":              {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$.commits[(@.length-1)].id" }, "webhook.filters[0].json_path", "write [-1] for [(@.length-1)]"},
		"path":                {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "ref" }, "webhook.filters[0].json_path", "not a JSONPath of RFC 9535"},
		"long path":           {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$." + long }, "webhook.filters[0].json_path", "at most 150"},
		"two descendants":     {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$..a..b" }, "webhook.filters[0].json_path", ".. only once"},
		"two filters":         {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$[?@.a[?@.b]]" }, "webhook.filters[0].json_path", "only one filter"},
		"many selectors":      {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$[1,1][1,1][1,1][1,1][1,1]" }, "webhook.filters[0].json_path", "at most 4 commas"},
		"root in a filter":    {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$[?@.a == $.b]" }, "webhook.filters[0].json_path", "only at @"},
		"regular expressions": {genericDeclaration, func(d *D) { d.Generic.Filters[0].JSONPath = "$[?match(@.a, 'b')]" }, "webhook.filters[0].json_path", "write a condition in when"},
		"no value":            {genericDeclaration, func(d *D) { d.Generic.Filters[0].MatchEquals = "" }, "webhook.filters[0].match_equals", "is empty"},
		"condition":           {genericDeclaration, func(d *D) { d.Generic.When = "body.a +" }, "webhook.when", "not an expression"},
		"condition of text":   {genericDeclaration, func(d *D) { d.Generic.When = `"x"` }, "webhook.when", "must yield true or false"},
		"long condition":      {genericDeclaration, func(d *D) { d.Generic.When = long }, "webhook.when", "at most 4096"},
		"names":               {genericDeclaration, func(d *D) { d.Generic.When = "trigger.type == '' || event == ''" }, "webhook.when", "an expression knows body and headers"},
		"sharing":             {genericDeclaration, func(d *D) { d.Generic.When = "[body, body].size() == 2" }, "webhook.when", "types of the values are not known"},
		"addition":            {genericDeclaration, func(d *D) { d.Generic.When = "body.a + body.a == body.b" }, "webhook.when", "convert one side"},
		"pattern of text":     {genericDeclaration, func(d *D) { d.Generic.When = "body.a.matches(body.b)" }, "webhook.when", "has to stand in the expression itself"},
		"revision":            {genericDeclaration, func(d *D) { d.Generic.SourceRevisions["Checkout"] = "[1]" }, `webhook.source_revisions["Checkout"]`, "must yield a text"},
		"key":                 {genericDeclaration, func(d *D) { d.Generic.IdempotencyKey = "null" }, "webhook.idempotency_key", "must yield a text"},
	} {
		d := c.start()
		c.change(d)
		requireViolation(t, d.Validate(), name, c.path, c.want)
	}

	unknown := genericDeclaration()
	unknown.Description, unknown.Generic.When, unknown.Generic.Filters[0].JSONPath = pipeline.Unknown, pipeline.Unknown, pipeline.Unknown
	unknown.Variables["Environment"] = pipeline.Unknown
	require.NoError(t, unknown.Validate())
}

func many(n int) map[string]string {
	variables := make(map[string]string, n)
	for i := range n {
		variables[strings.Repeat("v", i+1)] = "x"
	}
	return variables
}

func requireViolation(t *testing.T, err error, name, path, want string) {
	t.Helper()
	var invalid *pipeline.ValidationError
	require.ErrorAs(t, err, &invalid, name)
	for _, v := range invalid.Violations {
		if v.Path.String() == path && strings.Contains(v.Message, want) {
			return
		}
	}
	assert.Failf(t, "no such violation", "%s: want %s: …%s…\ngot: %v", name, path, want, err)
}

// watched returns a catalog of sources that are watched, and a definition that uses them.
func watched() (*pipeline.Catalog, *pipeline.Definition) {
	id := func(provider string) pipeline.TypeID {
		return pipeline.TypeID{Category: pipeline.CategorySource, Owner: "Test", Provider: provider, Version: "1"}
	}
	catalog := pipeline.NewCatalog(
		pipeline.Type{
			ID: id("Forge"), Properties: []pipeline.Property{{Name: "Detect", Type: pipeline.PropertyBoolean, Default: "true"}},
			Watch: &pipeline.Watch{Connection: "Arn", Repository: []string{"Repository"}, Branch: "Branch", Detect: "Detect", Triggers: true},
		},
		pipeline.Type{
			ID:    id("Polled"),
			Watch: &pipeline.Watch{Token: "Token", Repository: []string{"Owner", "Repo"}, Branch: "Branch", Detect: "Poll"},
		},
		pipeline.Type{ID: id("Bucket")},
	)
	action := func(name, provider string, configuration map[string]string) pipeline.Action {
		return pipeline.Action{
			Name: name, Category: pipeline.CategorySource, Owner: "Test", Provider: provider, Version: "1", Configuration: configuration,
		}
	}
	region := "eu"
	return catalog, &pipeline.Definition{
		Variables: []pipeline.Variable{{Name: "Environment"}, {Name: "Branch"}, {Name: "Region", DefaultValue: &region}},
		Stages: []pipeline.Stage{{Name: "Source", Actions: []pipeline.Action{
			action("Web", "Forge", map[string]string{"Arn": "accounts/dev/connections/forge", "Repository": "acme/web", "Branch": "release/[1]"}),
			action("Checkout", "Forge", map[string]string{"Arn": "accounts/dev/connections/forge", "Repository": "acme/api"}),
			action("Old", "Polled", map[string]string{"Owner": "acme", "Repo": "old", "Branch": "main", "Poll": "true", "Token": "a token"}),
			action("Files", "Bucket", nil),
		}}},
	}
}

func TestValidateFor(t *testing.T) {
	t.Parallel()
	catalog, def := watched()
	require.NoError(t, gitDeclaration().ValidateFor(def, catalog))
	generic := genericDeclaration()
	generic.Generic.Filters[0].MatchEquals = "{Owner}/{Repo} {x y}"
	require.NoError(t, generic.ValidateFor(def, catalog))

	generic = genericDeclaration()
	generic.Generic.SourceRevisions["Chekout"] = "body.x"
	generic.Variables["Nope"] = "x"
	delete(generic.Variables, "Environment")
	err := generic.ValidateFor(def, catalog)
	requireViolation(t, err, "differs", "webhook.filters[0].match_equals", "several have it with different values")
	requireViolation(t, err, "source", `webhook.source_revisions["Chekout"]`, `did you mean "Checkout"?`)
	requireViolation(t, err, "variable", `variables["Nope"]`, "has no variable")
	requireViolation(t, err, "required", "variables", `variable "Environment" of the pipeline has no default`)

	git := gitDeclaration()
	git.Git.SourceAction = "Nope"
	requireViolation(t, git.ValidateFor(def, catalog), "source", "git.source_action", "source actions: Checkout, Files, Old, Web")
	git.Git.SourceAction = "Files"
	requireViolation(t, git.ValidateFor(def, catalog), "not watched", "git.source_action", "which triggers do not watch")
	git.Git.Connection, git.Git.Repository = "accounts/dev/connections/forge", "acme/web"
	require.NoError(t, git.ValidateFor(def, catalog), "the trigger says itself what it watches")
}

func TestDeclarationWarnings(t *testing.T) {
	t.Parallel()
	d := gitDeclaration()
	require.Empty(t, d.Warnings(nil))
	require.Empty(t, genericDeclaration().Warnings(&pipeline.KnownRefs{Branches: []string{"trunk"}}))
	warnings := d.Warnings(&pipeline.KnownRefs{Branches: []string{"trunk"}, DefaultBranch: "trunk"})
	require.Len(t, warnings, 1)
	assert.Equal(t, "git.push[0].branches.includes[0]", warnings[0].Path.String())
	assert.Equal(t, pipeline.WarningTriggerMatchesNoRef, warnings[0].Reason)
}

func TestInlineTriggers(t *testing.T) {
	t.Parallel()
	catalog, def := watched()
	triggers := trigger.InlineTriggers(def, catalog)
	require.Len(t, triggers, 3, "all sources that detect changes, if there is no block")
	assert.Equal(t, []string{"", "a token", ""}, []string{triggers[0].Token, triggers[1].Token, triggers[2].Token})
	for i, name := range []string{"Checkout", "Old", "Web"} {
		assert.Equal(t, name, triggers[i].Git.SourceAction)
		assert.True(t, triggers[i].Detected)
		require.NoError(t, (&trigger.Declaration{Git: &triggers[i].Git}).Validate())
	}
	assert.Equal(t, "accounts/dev/connections/forge", triggers[0].Git.Connection)
	assert.Equal(t, "acme/old", triggers[1].Git.Repository)
	assert.Equal(t, "acme/web", triggers[2].Git.Repository)
	matches := func(i int, ref string) bool {
		return trigger.Match(&triggers[i].Git, move(ref), trigger.Files{}).Outcome == trigger.Matched
	}
	assert.True(t, matches(0, "refs/heads/main"), "the default branch, without a branch")
	assert.False(t, matches(0, "refs/heads/other"))
	assert.True(t, matches(2, "refs/heads/release/[1]"), "a branch is a name, not a pattern")
	assert.False(t, matches(2, "refs/heads/release/1"))

	branch := def.Stages[0].Actions[1].Configuration["Branch"]
	def.Stages[0].Actions[1].Configuration["Branch"] = "release/#{variables.Branch}"
	require.Len(t, trigger.InlineTriggers(def, catalog), 2, "its branch is not known before an execution")
	def.Stages[0].Actions[1].Configuration["Branch"] = branch
	def.Stages[0].Actions[1].Configuration["Detect"] = "false"
	require.Len(t, trigger.InlineTriggers(def, catalog), 2)
	def.Stages[0].Actions[2].Configuration["Repo"] = "#{variables.Branch}"
	require.Len(t, trigger.InlineTriggers(def, catalog), 1, "its repository is not known before an execution")

	def.Triggers = []pipeline.Trigger{
		{ProviderType: "CodeStarSourceConnection", GitConfiguration: &pipeline.GitConfiguration{SourceActionName: "Web"}},
		{ProviderType: "CodeStarSourceConnection", GitConfiguration: &pipeline.GitConfiguration{
			SourceActionName: "Checkout", PullRequest: []pipeline.GitPullRequestFilter{{Events: []string{"OPEN"}}},
		}},
	}
	triggers = trigger.InlineTriggers(def, catalog)
	require.Len(t, triggers, 2, "a block turns detection off for all sources")
	assert.Equal(t, "Checkout", triggers[0].Git.SourceAction)
	assert.False(t, triggers[0].Detected)
	assert.Equal(t, "acme/api", triggers[0].Git.Repository)
	assert.False(t, triggers[0].Git.DefaultBranchOnly)
	assert.False(t, matches(0, "refs/heads/main"), "only pull requests")
	assert.True(t, matches(1, "refs/heads/release/[1]"), "a block without filters watches the branch of the action")
	assert.False(t, matches(1, "refs/heads/main"))
}
