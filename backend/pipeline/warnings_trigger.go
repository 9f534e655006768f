package pipeline

import (
	"fmt"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

// The reasons of warnings about triggers.
const (
	// WarningTriggerNeverMatches: no event can match an entry of a trigger.
	WarningTriggerNeverMatches Reason = "TRIGGER_NEVER_MATCHES"
	// WarningTriggerMatchesNoRef: no branch or tag that is known matches an entry of a trigger.
	WarningTriggerMatchesNoRef Reason = "TRIGGER_MATCHES_NO_REF"
	// WarningDetectionOff: a source action is set to detect changes, which a trigger of the
	// pipeline turns off.
	WarningDetectionOff Reason = "CHANGE_DETECTION_OFF"
	// WarningNotWatched: pushes to the branch of a source action would start executions, but nothing
	// says before an execution which branch or which repository it fetches.
	WarningNotWatched Reason = "SOURCE_NOT_WATCHED"
)

// KnownRefs are the branches and tags of a repository, by their names without refs/heads/
// and refs/tags/.
type KnownRefs struct {
	Branches, Tags []string
	// DefaultBranch is empty if it is not known.
	DefaultBranch string
}

// GitFilterWarnings returns what cannot match in the valid filters of a trigger that is
// declared on its own, with paths such as push[0].tags. Without refs, which may be nil, it looks
// at the filters alone.
func GitFilterWarnings(push []GitPushFilter, pullRequest []GitPullRequestFilter, refs *KnownRefs) []Warning {
	w := filterWarner{refs: refs}
	w.filters(nil, push, pullRequest)
	return w.warnings
}

// TriggerWarnings returns what cannot match in the triggers of a valid definition, as far as
// the refs tell that known returns for the name of a source action; it may return nil.
// Warnings returns those that need no refs.
func TriggerWarnings(def *Definition, known func(sourceAction string) *KnownRefs) []Warning {
	var warnings []Warning
	for i := range def.Triggers {
		git := def.Triggers[i].GitConfiguration
		if git == nil {
			continue
		}
		w := filterWarner{refs: known(git.SourceActionName), def: def}
		w.filters(Path(nil).At("triggers", i).Field("git_configuration"), git.Push, git.PullRequest)
		warnings = append(warnings, w.warnings...)
	}
	return warnings
}

// BranchWarnings returns a warning for each source action that detects changes of a branch
// which is not one of the refs that known returns for the name of the action; it may return
// nil.
func BranchWarnings(def *Definition, catalog *Catalog, known func(sourceAction string) *KnownRefs) []Warning {
	if len(def.Triggers) > 0 {
		return nil
	}
	var warnings []Warning
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			action := &def.Stages[i].Actions[j]
			kind, found := catalog.Lookup(action.TypeID())
			if !found || kind.Watch == nil {
				continue
			}
			configuration := kind.WithDefaults(action.Configuration)
			branch, refs := configuration[kind.Watch.Branch], known(action.Name)
			if configuration[kind.Watch.Detect] != "true" || branch == "" || refs == nil || len(refs.Branches) == 0 ||
				slices.Contains(refs.Branches, branch) {
				continue
			}
			w := filterWarner{refs: refs, def: def}
			why := w.explainName("branch", branch, refs.Branches)
			if why == "" {
				why = fmt.Sprintf("its branches are such as %q; pushes start nothing until the branch exists", refs.Branches[0])
			}
			at := Path(nil).At("stages", i).At("actions", j).Entry("configuration", kind.Watch.Branch)
			warnings = append(warnings, Warning{
				Path: at, Reason: WarningTriggerMatchesNoRef,
				Summary: fmt.Sprintf("Action %s watches branch %q, which does not exist", quoted(action.Name), branch),
				Message: fmt.Sprintf("%s: branch %q does not exist in the repository: %s", Locate(def, at), branch, why),
			})
		}
	}
	return warnings
}

// notWatched returns a warning for each source action that would start executions if its
// repository and its branch were known.
func notWatched(def *Definition, catalog *Catalog) []Warning {
	if len(def.Triggers) > 0 {
		return blocksNotWatched(def, catalog)
	}
	var warnings []Warning
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			action := &def.Stages[i].Actions[j]
			kind, known := catalog.Lookup(action.TypeID())
			if !known || kind.Watch == nil || mapIsPartial(action.Configuration) ||
				kind.WithDefaults(action.Configuration)[kind.Watch.Detect] != "true" {
				continue
			}
			path := Path(nil).At("stages", i).At("actions", j)
			// A repository of a connection that depends on variables is refused when it is published.
			if _, fixed := kind.Watch.RepositoryOf(action.Configuration); !fixed && kind.Watch.Token != "" {
				warnings = append(warnings, notWatchedSource(def, action, path, kind.Watch.Detect, fmt.Sprintf(
					"the name of the repository depends on variables, which have values in an execution only; write the name itself in %s, or set %s to false",
					enumerate(kind.Watch.Repository), kind.Watch.Detect)))
			} else if _, fixed := kind.Watch.BranchOf(action.Configuration); !fixed {
				warnings = append(warnings, notWatchedSource(def, action, path, kind.Watch.Branch, fmt.Sprintf(
					"the branch depends on variables, which have values in an execution only; %s, or set %s to false",
					nameBranches(kind.Watch), kind.Watch.Detect)))
			}
		}
	}
	return warnings
}

// notWatchedSource is the warning about a property of a source action that detects changes.
func notWatchedSource(def *Definition, action *Action, path Path, property, why string) Warning {
	return Warning{
		Path:    path.Entry("configuration", property),
		Reason:  WarningNotWatched,
		Summary: fmt.Sprintf("Pushes to the repository of action %s start nothing", quoted(action.Name)),
		Message: fmt.Sprintf("%s: pushes start no executions, because %s", Locate(def, path), why),
	}
}

// nameBranches says how to name the branches that start executions.
func nameBranches(watch *Watch) string {
	advice := "write the name itself in " + watch.Branch
	if watch.Triggers {
		advice += ", or add a trigger block whose push block names the branches"
	}
	return advice
}

// blocksNotWatched returns a warning for each trigger block without filters whose source action
// does not say which branch it fetches.
func blocksNotWatched(def *Definition, catalog *Catalog) []Warning {
	var warnings []Warning
	for i := range def.Triggers {
		git := def.Triggers[i].GitConfiguration
		if opaqueTrigger(&def.Triggers[i]) || git == nil || git.SourceActionName == Unknown || len(git.Push) > 0 || len(git.PullRequest) > 0 {
			continue
		}
		action := def.sourceAction(git.SourceActionName)
		if action == nil || mapIsPartial(action.Configuration) {
			continue
		}
		kind, known := catalog.Lookup(action.TypeID())
		if !known || kind.Watch == nil {
			continue
		}
		branch, fixed := kind.Watch.BranchOf(action.Configuration)
		if fixed {
			continue
		}
		path := Path(nil).At("triggers", i).Field("git_configuration")
		warnings = append(warnings, Warning{
			Path:    path.Field("source_action_name"),
			Reason:  WarningNotWatched,
			Summary: fmt.Sprintf("Trigger %d starts nothing", i+1),
			Message: fmt.Sprintf("%s: without push and pull_request blocks it watches the branch of source action %s, which is %q and depends on variables, "+
				"which have values in an execution only; name the branches in a push block, or write the name itself in %s of the action",
				Locate(def, path), quoted(action.Name), branch, kind.Watch.Branch),
		})
	}
	return warnings
}

// triggerTypes returns the names of the types whose sources triggers watch.
func triggerTypes(catalog *Catalog) (names []string) {
	for _, t := range catalog.Actions() {
		if t.Watch != nil && t.Watch.Triggers {
			names = append(names, t.ID.String())
		}
	}
	return names
}

// detectionOff returns a warning for each source action that is set to detect changes in
// vain.
func detectionOff(def *Definition, catalog *Catalog) []Warning {
	if declared, _ := countKnown(def.Triggers, opaqueTrigger); declared == 0 {
		return nil
	}
	var warnings []Warning
	for i := range def.Stages {
		for j := range def.Stages[i].Actions {
			action := &def.Stages[i].Actions[j]
			kind, known := catalog.Lookup(action.TypeID())
			if !known || kind.Watch == nil || action.Configuration[kind.Watch.Detect] != "true" {
				continue
			}
			path := Path(nil).At("stages", i).At("actions", j)
			warnings = append(warnings, Warning{
				Path:    path.Entry("configuration", kind.Watch.Detect),
				Reason:  WarningDetectionOff,
				Summary: fmt.Sprintf("%s of action %s has no effect", kind.Watch.Detect, quoted(action.Name)),
				Message: fmt.Sprintf("%s: %s has no effect, because a pipeline with a trigger block starts by its triggers only; "+
					"remove it, or add a trigger block for this action", Locate(def, path), kind.Watch.Detect),
			})
		}
	}
	return warnings
}

// filterWarner collects the warnings about the filters of one trigger.
type filterWarner struct {
	refs *KnownRefs
	// def is set if the trigger belongs to a definition.
	def      *Definition
	warnings []Warning
}

func (w *filterWarner) filters(path Path, push []GitPushFilter, pullRequest []GitPullRequestFilter) {
	for i := range push {
		w.push(path.At("push", i), &push[i])
	}
	for i := range pullRequest {
		path, filter := path.At("pull_request", i), &pullRequest[i]
		if !w.excludesAll(path, filter.Branches, "branches") && !w.excludesAll(path, filter.FilePaths, "file_paths") {
			w.branches(path, filter.Branches)
			w.spelling(path, filter.FilePaths, "file_paths")
		}
	}
}

func (w *filterWarner) push(path Path, filter *GitPushFilter) {
	if opaqueGlobs(filter.Branches) || opaqueGlobs(filter.FilePaths) || opaqueGlobs(filter.Tags) {
		return // They may turn out to be absent.
	}
	switch {
	case filter.Tags != nil && filter.Branches != nil:
		w.never(path.Field("tags"), "filters by branches and by tags, and a push is one of a branch or of a tag; "+
			"write two push blocks, one with branches and one with tags")
	case filter.Tags != nil && filter.FilePaths != nil:
		w.never(path.Field("file_paths"), "filters by tags and by file paths, and a push of a tag changes no files; "+
			"remove file_paths, or write another push block for branches")
	case w.excludesAll(path, filter.Branches, "branches"), w.excludesAll(path, filter.FilePaths, "file_paths"), w.excludesAll(path, filter.Tags, "tags"):
	default:
		w.branches(path, filter.Branches)
		w.tags(path, filter.Tags)
		w.spelling(path, filter.FilePaths, "file_paths")
	}
}

// spelling warns of patterns that are written as git writes refs or a shell writes paths. They
// match nothing, and an exclude of that form keeps nothing out.
func (w *filterWarner) spelling(entry Path, filter *GlobFilter, field string) {
	if filter == nil {
		return
	}
	what, prefixes := "file path", []string{"/", "./"}
	switch field {
	case "branches":
		what, prefixes = "branch", []string{"refs/heads/"}
	case "tags":
		what, prefixes = "tag", []string{"refs/tags/"}
	}
	check := func(list string, patterns []string) {
		for i, pattern := range patterns {
			for _, prefix := range prefixes {
				if name, found := strings.CutPrefix(pattern, prefix); found && name != "" {
					w.warn(entry.Field(field).At(list, i), WarningTriggerNeverMatches, fmt.Sprintf("has %q, which matches no %s", pattern, what),
						fmt.Sprintf("pattern %q matches no %s, since none begins with %s; write %q", pattern, what, prefix, name))
				}
			}
		}
	}
	check("includes", filter.Includes)
	check("excludes", filter.Excludes)
}

// warn adds a warning about a place in an entry.
func (w *filterWarner) warn(at Path, reason Reason, what, message string) {
	where := Locate(w.def, at)
	if where == "" {
		var l location
		l.fields(at)
		where = strings.Join(l.words, ", ")
	}
	w.warnings = append(w.warnings, Warning{
		Path: at, Reason: reason, Summary: fmt.Sprintf("The entry of %s %s", where, what), Message: where + ": " + message,
	})
}

func (w *filterWarner) never(at Path, message string) {
	w.warn(at, WarningTriggerNeverMatches, "never matches", "the entry "+message)
}

// excludesAll warns of a filter whose excludes leave nothing of its includes.
func (w *filterWarner) excludesAll(entry Path, filter *GlobFilter, field string) bool {
	if filter == nil || slices.Contains(filter.Includes, Unknown) || slices.Contains(filter.Excludes, Unknown) {
		return false
	}
	all := slices.Contains(filter.Excludes, "**")
	if !all && len(filter.Includes) > 0 {
		all = !slices.ContainsFunc(filter.Includes, func(pattern string) bool { return !slices.Contains(filter.Excludes, pattern) })
	}
	if all {
		w.never(entry.Field(field).Field("excludes"), "excludes everything that it includes in "+field+"; remove the pattern from excludes")
	}
	return all
}

func (w *filterWarner) branches(entry Path, filter *GlobFilter) {
	w.spelling(entry, filter, "branches")
	if w.refs != nil {
		w.known(entry.Field("branches"), "branch", filter, w.refs.Branches)
	}
}

func (w *filterWarner) tags(entry Path, filter *GlobFilter) {
	w.spelling(entry, filter, "tags")
	if w.refs != nil {
		w.known(entry.Field("tags"), "tag", filter, w.refs.Tags)
	}
}

// known warns of a filter that none of the known names matches, and of patterns that look
// as if they were to match one.
func (w *filterWarner) known(path Path, what string, filter *GlobFilter, names []string) {
	if filter == nil || len(names) == 0 || len(filter.Includes) == 0 {
		return
	}
	includes, unknown := compileGlobs(filter.Includes)
	excludes, _ := compileGlobs(filter.Excludes)
	if unknown {
		return
	}
	explained := false
	for i, glob := range includes {
		if slices.ContainsFunc(names, glob.MatchString) {
			continue
		}
		if why := w.explain(what, glob, names); why != "" {
			explained = true
			w.warn(path.At("includes", i), WarningTriggerMatchesNoRef,
				fmt.Sprintf("includes %q, which matches no %s", glob, what), fmt.Sprintf("pattern %q matches no %s of the repository: %s", glob, what, why))
		}
	}
	matched := slices.ContainsFunc(names, func(name string) bool {
		return matchesAny(includes, name) && !matchesAny(excludes, name)
	})
	if matched || explained {
		return
	}
	w.warn(path, WarningTriggerMatchesNoRef, "matches no "+what,
		fmt.Sprintf("the entry matches no %s that the repository has now, such as %q; check the patterns, or ignore this if they are for later ones",
			what, names[0]))
}

// explain says why a pattern matches no known name, if that is likely a mistake.
func (w *filterWarner) explain(what string, glob *pathglob.Glob, names []string) string {
	if literal, ok := glob.Literal(); ok {
		return w.explainName(what, literal, names)
	}
	if glob.CrossesSlash() {
		return ""
	}
	// Whether ** would match what * does not.
	crossing, err := pathglob.Compile(strings.ReplaceAll(glob.String(), "*", "**"))
	if err != nil {
		return ""
	}
	if at := slices.IndexFunc(names, crossing.MatchString); at >= 0 {
		return fmt.Sprintf("* does not stand for a slash, as in %q; write %q", names[at], crossing)
	}
	return ""
}

// explainName is explain for a name.
func (w *filterWarner) explainName(what, literal string, names []string) string {
	switch {
	case what == "branch" && w.refs.DefaultBranch != "" && literal != w.refs.DefaultBranch && (literal == "main" || literal == "master"):
		return fmt.Sprintf("its default branch is %q", w.refs.DefaultBranch)
	case slices.ContainsFunc(names, func(name string) bool { return strings.EqualFold(name, literal) }):
		return "case matters" + didYouMean(literal, names)
	}
	// Branches may be for later, but one that is close to a known one is a typo.
	if similar := Nearest(literal, names); similar != "" {
		return fmt.Sprintf("did you mean %q?", similar)
	}
	return ""
}

// compileGlobs returns the matchers of valid patterns, and whether some are unknown.
func compileGlobs(patterns []string) (globs []*pathglob.Glob, unknown bool) {
	for _, pattern := range patterns {
		glob, err := pathglob.Compile(pattern)
		if pattern == Unknown || err != nil {
			unknown = true
			continue
		}
		globs = append(globs, glob)
	}
	return globs, unknown
}

func matchesAny(globs []*pathglob.Glob, name string) bool {
	return slices.ContainsFunc(globs, func(glob *pathglob.Glob) bool { return glob.MatchString(name) })
}
