package trigger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/expression"
)

// The limits of a declaration. CodePipeline's webhooks have 5 filters.
const (
	maxFilters     = 50
	maxFilterText  = 150
	maxVariables   = 50
	maxExpression  = 4096
	maxDescription = 1000
)

// Declaration is a trigger that is declared on its own: Git or Generic is set.
type Declaration struct {
	Description string
	Git         *Git
	Generic     *Generic
	// Variables are values of the pipeline's variables: a text, or an expression in CEL over
	// the event if it begins with "=".
	Variables map[string]string
}

func (d *Declaration) scope() expression.Scope {
	if d.Git != nil {
		return expression.ScopeGit
	}
	return expression.ScopeWebhook
}

// Validate checks a declaration by itself. It returns a *pipeline.ValidationError, with
// paths as in a trigger of the contract, such as git.push[0].branches.includes[1], or nil.
// Values may be unknown, see pipeline.Unknown.
func (d *Declaration) Validate() error {
	var c checker
	if utf8.RuneCountInString(d.Description) > maxDescription && d.Description != pipeline.Unknown {
		c.refuse(field("description"), "the description has more than %d characters", maxDescription)
	}
	switch {
	case d.Git == nil && d.Generic == nil:
		c.refuse(nil, "the trigger says nothing of what starts the pipeline; give it a git or a webhook block")
	case d.Git != nil && d.Generic != nil:
		c.refuse(nil, "the trigger has a git and a webhook block; write two triggers")
	case d.Git != nil:
		c.git(d.Git)
	default:
		c.generic(d.Generic)
	}
	c.variables(d.scope(), d.Variables)
	return c.err()
}

// ValidateFor checks a valid declaration against the pipeline that it starts: its source
// actions and variables. It returns the error of Validate.
func (d *Declaration) ValidateFor(def *pipeline.Definition, catalog *pipeline.Catalog) error {
	var c checker
	sources := sourceActions(def)
	if d.Git != nil {
		c.source(field("git").Field("source_action"), d.Git.SourceAction, sources)
		if action := sources[d.Git.SourceAction]; action != nil && (d.Git.Connection == "" || d.Git.Repository == "") {
			c.check(field("git").Field("source_action"), pipeline.CheckTriggerSource(action, catalog))
		}
	}
	if d.Generic != nil {
		c.placeholders(d.Generic.Filters, Placeholders(def, catalog))
		for _, name := range slices.Sorted(maps.Keys(d.Generic.SourceRevisions)) {
			c.source(field("webhook").Entry("source_revisions", name), name, sources)
		}
	}
	c.declaredVariables(d.Variables, def)
	return c.err()
}

// Warnings returns what cannot match in a valid declaration, with paths as in Validate.
// Without refs, which may be nil, it looks at the declaration alone.
func (d *Declaration) Warnings(refs *pipeline.KnownRefs) []pipeline.Warning {
	if d.Git == nil {
		return nil
	}
	warnings := pipeline.GitFilterWarnings(d.Git.Push, d.Git.PullRequest, refs)
	for i := range warnings {
		warnings[i].Path = append(field("git"), warnings[i].Path...)
	}
	return warnings
}

func field(name string) pipeline.Path { return pipeline.Path(nil).Field(name) }

// checker collects the violations of one declaration.
type checker struct{ violations []pipeline.Violation }

// maxViolations bounds the answer that a hostile declaration causes.
const maxViolations = 1000

func (c *checker) refuse(path pipeline.Path, format string, args ...any) {
	if len(c.violations) < maxViolations {
		c.violations = append(c.violations, pipeline.Violation{Path: path, Message: fmt.Sprintf(format, args...)})
	}
}

// check refuses what err says, if it says something.
func (c *checker) check(path pipeline.Path, err error) {
	if err != nil {
		c.refuse(path, "%s", clean(err.Error()))
	}
}

func (c *checker) err() error {
	if len(c.violations) == 0 {
		return nil
	}
	return &pipeline.ValidationError{Violations: c.violations}
}

func (c *checker) git(git *Git) {
	path := field("git")
	if git.SourceAction == "" {
		c.refuse(path.Field("source_action"), "source_action is missing; name the source action that gets the commit")
	}
	if git.Repository != "" && git.Repository != pipeline.Unknown {
		// What the forge asks for in addition depends on the connection.
		c.check(path.Field("repository"), pipeline.CheckRepository(pipeline.ConnectionGit, git.Repository))
	}
	oneOf(c, path, "new_branch", git.NewBranch, NewBranchCompareDefault, NewBranchStart, NewBranchIgnore)
	oneOf(c, path, "moved_tag", git.MovedTag, MovedTagRefuse, MovedTagAllow)
	oneOf(c, path, "on_unknown_diff", git.OnUnknownDiff, UnknownDiffStart, UnknownDiffIgnore)
	oneOf(c, path, "coalesce", git.Coalesce, CoalesceLatest, CoalesceEach)
	var invalid *pipeline.ValidationError
	if err := pipeline.ValidateGitFilters(git.Push, git.PullRequest); errors.As(err, &invalid) {
		for _, v := range invalid.Violations {
			c.refuse(append(path[:len(path):len(path)], v.Path...), "%s", v.Message)
		}
	}
}

// oneOf checks a word that may be absent.
func oneOf[T ~string](c *checker, path pipeline.Path, name string, value T, words ...T) {
	if value == "" || value == pipeline.Unknown || slices.Contains(words, value) {
		return
	}
	texts := make([]string, len(words))
	for i, word := range words {
		texts[i] = string(word)
	}
	c.refuse(path.Field(name), "%s %q is not known; use one of %s", name, value, strings.Join(texts, ", "))
}

func (c *checker) generic(generic *Generic) {
	path := field("webhook")
	if generic.Webhook == "" {
		c.refuse(path.Field("webhook"), "the webhook is missing; name the one whose events start the pipeline")
	}
	if n := len(generic.Filters); n > maxFilters {
		c.refuse(path.Field("filters"), "%d filters given; at most %d allowed", n, maxFilters)
	}
	for i, filter := range generic.Filters {
		path := path.At("filters", i)
		if c.text(path.Field("json_path"), "json_path", filter.JSONPath, maxFilterText) {
			_, err := parsePath(filter.JSONPath)
			c.check(path.Field("json_path"), err)
		}
		c.text(path.Field("match_equals"), "match_equals", filter.MatchEquals, maxFilterText)
	}
	if generic.When != "" && c.text(path.Field("when"), "the condition", generic.When, maxExpression) {
		c.check(path.Field("when"), expression.CheckEventCondition(expression.ScopeWebhook, generic.When))
	}
	if n := len(generic.SourceRevisions); n > maxVariables {
		c.refuse(path.Field("source_revisions"), "%d source revisions given; at most %d allowed", n, maxVariables)
	}
	for _, action := range slices.Sorted(maps.Keys(generic.SourceRevisions)) {
		c.expression(path.Entry("source_revisions", action), "source action "+strconv.Quote(action), expression.ScopeWebhook, generic.SourceRevisions[action])
	}
	if generic.IdempotencyKey != "" {
		c.expression(path.Field("idempotency_key"), "idempotency_key", expression.ScopeWebhook, generic.IdempotencyKey)
	}
}

// text checks the length of a text, and reports whether it is known and right.
func (c *checker) text(path pipeline.Path, what, text string, most int) bool {
	switch n := utf8.RuneCountInString(text); {
	case text == pipeline.Unknown:
		return false
	case text == "":
		c.refuse(path, "%s is empty", what)
		return false
	case n > most:
		c.refuse(path, "%s has %d characters; at most %d allowed", what, n, most)
		return false
	case strings.ContainsRune(text, 0):
		c.refuse(path, "%s has a NUL character", what)
		return false
	}
	return true
}

// expression checks an expression. of says which one it is, since a map is underlined as a
// whole.
func (c *checker) expression(path pipeline.Path, of string, scope expression.Scope, text string) {
	if !c.text(path, "the expression", text, maxExpression) {
		return
	}
	if err := expression.CheckEventText(scope, text); err != nil {
		c.refuse(path, "%s: %s", of, clean(err.Error()))
	}
}

func (c *checker) variables(scope expression.Scope, variables map[string]string) {
	if n := len(variables); n > maxVariables {
		c.refuse(field("variables"), "%d variables given; at most %d allowed", n, maxVariables)
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		path := pipeline.Path(nil).Entry("variables", name)
		if text, isExpression := strings.CutPrefix(variables[name], "="); isExpression {
			c.expression(path, "variable "+strconv.Quote(name), scope, text)
			continue
		}
		c.text(path, "the value", variables[name], maxInput)
	}
}

// source checks that a source action exists.
func (c *checker) source(path pipeline.Path, name string, sources map[string]*pipeline.Action) {
	if name == pipeline.Unknown || sources[name] != nil {
		return
	}
	names := slices.Sorted(maps.Keys(sources))
	c.refuse(path, "there is no source action %q in the pipeline%s; source actions: %s",
		name, pipeline.DidYouMean(name, names), strings.Join(names, ", "))
}

func (c *checker) placeholders(filters []GenericFilter, configuration map[string]string) {
	for i := range filters {
		if _, missing := filters[i].expand(configuration); missing != "" {
			c.refuse(field("webhook").At("filters", i).Field("match_equals"),
				"{%s} stands for a key of the configuration of a source action, and no source action has it, or several have it with different values%s",
				missing, pipeline.DidYouMean(missing, slices.Sorted(maps.Keys(configuration))))
		}
	}
}

// declaredVariables checks that the variables exist, and that those without a default get a
// value: otherwise every start would be refused.
func (c *checker) declaredVariables(variables map[string]string, def *pipeline.Definition) {
	var names []string
	for i := range def.Variables {
		v := &def.Variables[i]
		names = append(names, v.Name)
		if _, given := variables[v.Name]; !given && v.DefaultValue == nil && variables[pipeline.Unknown] == "" {
			c.refuse(field("variables"), "variable %q of the pipeline has no default, so the trigger must give it a value", v.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if name != pipeline.Unknown && !slices.Contains(names, name) {
			c.refuse(pipeline.Path(nil).Entry("variables", name), "the pipeline has no variable %q%s", name, pipeline.DidYouMean(name, names))
		}
	}
}

func sourceActions(def *pipeline.Definition) map[string]*pipeline.Action {
	sources := make(map[string]*pipeline.Action)
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			if a := &def.Stages[i].Actions[j]; a.Category == pipeline.CategorySource {
				sources[a.Name] = a
			}
		}
	}
	return sources
}
