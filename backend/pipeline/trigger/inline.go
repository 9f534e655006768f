package trigger

import (
	"maps"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline/pathglob"
)

// Inline is a trigger that belongs to a definition.
type Inline struct {
	// Git has the connection and the repository as the configuration of the source action
	// says them.
	Git Git
	// Token is the token of the source action by which the repository is read, as the
	// definition has it. Empty if it is read through a connection, or depends on variables.
	Token string
	// Detected is set if nobody declared the trigger: the source action detects changes.
	Detected bool
}

// InlineTriggers returns the triggers of a valid definition, by the names of their source
// actions: those of trigger blocks, or else, if there is none, of the source actions that
// detect changes. ADR 26 says why.
func InlineTriggers(def *pipeline.Definition, catalog *pipeline.Catalog) []Inline {
	sources := sourceActions(def)
	var triggers []Inline
	for i := range def.Triggers {
		declared := def.Triggers[i].GitConfiguration
		if declared == nil || sources[declared.SourceActionName] == nil {
			continue
		}
		source := sources[declared.SourceActionName]
		inline := inlineOf(source, catalog)
		if len(declared.Push) > 0 || len(declared.PullRequest) > 0 {
			// The branch of the source action is watched only without filters.
			inline.Git.Push, inline.Git.PullRequest, inline.Git.DefaultBranchOnly = declared.Push, declared.PullRequest, false
		}
		triggers = append(triggers, inline)
	}
	if len(def.Triggers) == 0 {
		for _, name := range slices.Sorted(maps.Keys(sources)) {
			kind, known := catalog.Lookup(sources[name].TypeID())
			if !known || kind.Watch == nil || kind.WithDefaults(sources[name].Configuration)[kind.Watch.Detect] != "true" {
				continue
			}
			// pipeline.Warnings tells of those that cannot be watched.
			if _, fixed := kind.Watch.BranchOf(sources[name].Configuration); !fixed {
				continue
			}
			if inline := inlineOf(sources[name], catalog); inline.Git.Connection != "" || inline.Token != "" {
				inline.Detected = true
				triggers = append(triggers, inline)
			}
		}
	}
	slices.SortFunc(triggers, func(a, b Inline) int { return strings.Compare(a.Git.SourceAction, b.Git.SourceAction) })
	return triggers
}

// Watched returns the connection and the repository that the configuration of a source action
// says, empty for an action that fetches from none.
func Watched(source *pipeline.Action, catalog *pipeline.Catalog) (connection, repository string) {
	git := inlineOf(source, catalog).Git
	return git.Connection, git.Repository
}

// inlineOf returns the trigger that watches the branch of a source action.
func inlineOf(source *pipeline.Action, catalog *pipeline.Catalog) Inline {
	inline := Inline{Git: Git{SourceAction: source.Name}}
	kind, known := catalog.Lookup(source.TypeID())
	if !known || kind.Watch == nil {
		return inline
	}
	configuration := kind.WithDefaults(source.Configuration)
	inline.Git.Connection = configuration[kind.Watch.Connection]
	var fixed bool
	if inline.Git.Repository, fixed = kind.Watch.RepositoryOf(configuration); fixed {
		inline.Token = configuration[kind.Watch.Token]
	}
	if branch := configuration[kind.Watch.Branch]; branch != "" {
		inline.Git.Push = []pipeline.GitPushFilter{{Branches: &pipeline.GlobFilter{Includes: []string{pathglob.Quote(branch)}}}}
	} else {
		inline.Git.DefaultBranchOnly = true
	}
	return inline
}
