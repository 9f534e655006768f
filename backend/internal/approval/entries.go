package approval

import "github.com/headrace/terraform-provider-headrace/backend/pipeline"

// entry is a pattern of a rule and what it matched.
type entry struct {
	pattern string
	// glob is nil for a pattern that could not be stored today, which matches everything.
	glob    *pipeline.Glob
	literal bool
	// matched tells that it matched a name, guards that this led to a guarded part, manual
	// that it matched a stage with a manual approval action.
	matched, guards, manual bool
	// pipelines are those with stages that it matched.
	pipelines []*pipelineMatch
}

// entries are the patterns of one field of a rule. Each name is matched once.
type entries struct {
	all      []*entry
	literals map[string][]*entry
	globs    []*entry
	found    map[string][]*entry
}

// stepsPerCharacter is what it takes to read a character of a pattern, about.
const stepsPerCharacter = 4

// stepsPerName is what it takes to remember what matches a name, about.
const stepsPerName = 20

// newEntries reads patterns. If the steps are used up, it returns false.
func newEntries(patterns []string, steps *Steps) (*entries, bool) {
	f := &entries{literals: make(map[string][]*entry), found: make(map[string][]*entry)}
	for _, pattern := range patterns {
		if !steps.take(stepsPerCharacter * len(pattern)) {
			return f, false
		}
		e := &entry{pattern: pattern}
		f.all = append(f.all, e)
		glob, err := pipeline.ParseGlob(pattern)
		if err == nil {
			e.glob = glob
			if name, ok := glob.Literal(); ok {
				e.literal = true
				f.literals[name] = append(f.literals[name], e)
				continue
			}
		}
		f.globs = append(f.globs, e)
	}
	return f, true
}

// matching returns the entries that match a name. If the steps are used up, it returns
// false.
func (f *entries) matching(name string, steps *Steps) ([]*entry, bool) {
	if found, ok := f.found[name]; ok {
		return found, steps.take(1 + len(found))
	}
	found := f.literals[name]
	found = found[:len(found):len(found)]
	for _, e := range f.globs {
		if e.glob != nil {
			ok, took := e.glob.Match(name)
			if !steps.take(took) {
				return nil, false
			}
			if !ok {
				continue
			}
		}
		found = append(found, e)
	}
	f.found[name] = found
	return found, steps.take(stepsPerName + len(found))
}
