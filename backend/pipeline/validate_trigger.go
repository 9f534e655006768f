package pipeline

import (
	"errors"
	"fmt"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

// The limits of triggers. CodePipeline allows 3 entries of each kind and 8 patterns in a
// list.
const (
	maxTriggers       = 50
	maxTriggerBytes   = 200 * 1024
	maxTriggerFilters = 50
	maxTriggerEvents  = 3
	maxGlobs          = 100
	triggerProvider   = "CodeStarSourceConnection"
)

// ValidateGitFilters checks the filters of a trigger that is declared on its own. It returns
// a *ValidationError, with paths such as push[0].branches.includes[1], or nil. Values may be
// unknown, see Unknown.
func ValidateGitFilters(push []GitPushFilter, pullRequest []GitPullRequestFilter) error {
	c := &checker{}
	if size := c.gitFilters(nil, push, pullRequest); size > maxTriggerBytes {
		c.refuse(nil, "the patterns of the trigger have %d bytes; at most %d allowed", size, maxTriggerBytes)
	}
	return c.err()
}

// triggers checks the triggers of a definition.
func (c *checker) triggers() {
	triggers := c.def.Triggers
	known, complete := countKnown(triggers, opaqueTrigger)
	c.count(Path(nil).Field("triggers"), "triggers", known, complete, 0, maxTriggers)
	unique := c.unique("source action %q has more than one trigger; put all filters into one")
	size := 0
	for i := range triggers {
		if opaqueTrigger(&triggers[i]) {
			continue
		}
		path := Path(nil).At("triggers", i)
		c.oneOf(path.Field("provider_type"), "trigger provider", triggers[i].ProviderType, triggerProvider)
		git := triggers[i].GitConfiguration
		if git == nil {
			c.refuse(path.Field("git_configuration"), "git_configuration is missing; name the source action in it")
			continue
		}
		path = path.Field("git_configuration")
		c.triggerSource(path.Field("source_action_name"), git.SourceActionName)
		unique(path.Field("source_action_name"), git.SourceActionName)
		size += c.gitFilters(path, git.Push, git.PullRequest)
	}
	if size > maxTriggerBytes {
		c.refuse(Path(nil).Field("triggers"), "the patterns of all triggers have %d bytes; at most %d allowed", size, maxTriggerBytes)
	}
}

// gitFilters checks the filters of one trigger and returns the size of their patterns in
// bytes.
func (c *checker) gitFilters(path Path, push []GitPushFilter, pullRequest []GitPullRequestFilter) (size int) {
	c.count(path.Field("push"), "push filters", len(push), true, 0, maxTriggerFilters)
	for i, filter := range push {
		path := path.At("push", i)
		size += c.globs(path.Field("branches"), filter.Branches)
		size += c.globs(path.Field("file_paths"), filter.FilePaths)
		size += c.globs(path.Field("tags"), filter.Tags)
	}
	c.count(path.Field("pull_request"), "pull request filters", len(pullRequest), true, 0, maxTriggerFilters)
	for i, filter := range pullRequest {
		path := path.At("pull_request", i)
		c.events(path, filter.Events)
		size += c.globs(path.Field("branches"), filter.Branches)
		size += c.globs(path.Field("file_paths"), filter.FilePaths)
	}
	return size
}

// triggerSource checks that a trigger names a source action whose repository can be
// watched.
func (c *checker) triggerSource(path Path, name string) {
	if name == "" {
		c.refuse(path, "source_action_name is missing; name an action of the first stage")
		return
	}
	if name == Unknown {
		return
	}
	names, complete := c.sourceNames()
	if !slices.Contains(names, name) {
		if complete {
			c.refuse(path, "there is no source action %q%s", name, didYouMean(name, names))
		}
		return
	}
	if action := c.def.sourceAction(name); action != nil {
		c.check(path, CheckTriggerSource(action, c.catalog))
	}
}

// CheckTriggerSource says why the repository of a source action cannot be watched by a
// trigger. It accepts an action of a type that the catalog does not hold.
func CheckTriggerSource(action *Action, catalog *Catalog) error {
	kind, known := catalog.Lookup(action.TypeID())
	if !known {
		return nil
	}
	watch := kind.Watch
	if watch == nil || !watch.Triggers {
		watched := triggerTypes(catalog)
		if len(watched) == 0 {
			return errors.New("triggers are not supported by this version of Headrace; remove the block and start executions with the command line or the API")
		}
		return fmt.Errorf("source action %q has the type %s, which triggers do not watch; use %s", action.Name, kind.ID, enumerate(watched))
	}
	if watch.Connection != "" && !mapIsPartial(action.Configuration) && action.Configuration[watch.Connection] == "" {
		return fmt.Errorf("source action %q has no configuration key %q; a trigger watches a repository through a connection, so give the action one",
			action.Name, watch.Connection)
	}
	return nil
}

// detection checks the setting by which a source action detects changes itself.
func (c *checker) detection(path Path, action *Action) {
	kind, known := c.catalog.Lookup(action.TypeID())
	if !known || kind.Watch == nil || mapIsPartial(action.Configuration) {
		return
	}
	watch := kind.Watch
	// Only what somebody wrote can be wrong.
	if action.Configuration[watch.Detect] != "true" {
		return
	}
	path = path.Entry("configuration", watch.Detect)
	if watch.Connection != "" && action.Configuration[watch.Connection] == "" {
		c.refuse(path, "%s needs a connection, through which the repository is watched; add the configuration key %q", watch.Detect, watch.Connection)
	}
	for _, pin := range watch.Pins {
		if action.Configuration[pin] != "" {
			c.refuse(path, "%s watches a branch, and %s names what never changes; remove one of them", watch.Detect, pin)
		}
	}
}

// sourceAction returns the first source action of that name, or nil.
func (d *Definition) sourceAction(name string) *Action {
	for i := range d.Stages {
		for j := range d.Stages[i].Actions {
			if a := &d.Stages[i].Actions[j]; a.Category == CategorySource && a.Name == name {
				return a
			}
		}
	}
	return nil
}

// sourceNames returns the names of the source actions, and whether all are known.
func (c *checker) sourceNames() (names []string, complete bool) {
	for i := range c.def.Stages {
		stage := &c.def.Stages[i]
		if opaqueStage(stage) {
			return nil, false
		}
		for j := range stage.Actions {
			action := &stage.Actions[j]
			if opaqueAction(action) || action.Name == Unknown || action.Category == Unknown {
				return nil, false
			}
			if action.Category == CategorySource {
				names = append(names, action.Name)
			}
		}
	}
	return names, true
}

func (c *checker) events(path Path, events []string) {
	known, complete := knownStrings(events)
	c.count(path.Field("events"), "events", known, complete, 0, maxTriggerEvents)
	unique := c.unique("event %q is listed more than once; remove one")
	for i, event := range events {
		c.oneOf(path.At("events", i), "pull request event", event, "OPEN", "UPDATED", "CLOSED")
		unique(path.At("events", i), event)
	}
}

// globs checks a filter and returns the size of its patterns in bytes.
func (c *checker) globs(path Path, filter *GlobFilter) int {
	if filter == nil {
		return 0
	}
	size := 0
	list := func(field string, patterns []string) {
		known, complete := knownStrings(patterns)
		c.count(path.Field(field), "patterns", known, complete, 0, maxGlobs)
		for i, pattern := range patterns {
			if pattern == Unknown {
				continue
			}
			size += len(pattern)
			err := checkText("the pattern", pattern, 1, pathglob.MaxLength)
			if err == nil {
				err = pathglob.Check(pattern)
			}
			c.check(path.At(field, i), err)
		}
	}
	list("includes", filter.Includes)
	list("excludes", filter.Excludes)
	return size
}
