package pipeline

import (
	"fmt"
	"maps"
	"slices"
)

// site is an action in the order of work, or a gap where actions may be that are
// not known yet.
type site struct {
	stage int
	// order is the run order; anyOrder says that it is not known.
	order     int
	anyOrder  bool
	action    *Action
	stageName string
	// path is that of the stage or action.
	path Path
}

// certainty is an answer about a definition that may be partly unknown.
type certainty int

const (
	no certainty = iota
	maybe
	yes
)

// before tells whether s is sure to have ended when other starts.
func (s site) before(other site) certainty {
	switch {
	case s.stage != other.stage:
		if s.stage < other.stage {
			return yes
		}
		return no
	case s.action != nil && s.action == other.action:
		return no
	case s.anyOrder || other.anyOrder:
		return maybe
	case s.order < other.order:
		return yes
	}
	return no
}

// producers is what the actions of a definition produce under which name.
type producers struct {
	byName map[string][]site
	// open may produce anything.
	open []site
}

func (p *producers) add(name string, s site) {
	switch name {
	case "":
	case Unknown:
		p.open = append(p.open, s)
	default:
		p.byName[name] = append(p.byName[name], s)
	}
}

// flow is where artifacts and output variables come from.
type flow struct {
	sites      []site
	artifacts  producers
	namespaces producers
}

func newFlow(def *Definition) *flow {
	f := &flow{
		artifacts:  producers{byName: make(map[string][]site)},
		namespaces: producers{byName: make(map[string][]site)},
	}
	for i := range def.Stages {
		stage := &def.Stages[i]
		path := Path(nil).At("stages", i)
		if opaqueStage(stage) {
			f.gap(site{stage: i, anyOrder: true, path: path})
			continue
		}
		for j := range stage.Actions {
			action := &stage.Actions[j]
			s := site{
				stage: i, order: action.Order(), anyOrder: action.RunOrder == UnknownInt,
				action: action, stageName: stage.Name, path: path.At("actions", j),
			}
			if opaqueAction(action) {
				s.anyOrder = true
				f.gap(s)
				continue
			}
			f.sites = append(f.sites, s)
			for k := range action.OutputArtifacts {
				f.artifacts.add(action.OutputArtifacts[k].Name, s)
			}
			f.namespaces.add(action.Namespace, s)
		}
	}
	return f
}

func (f *flow) gap(s site) {
	f.artifacts.open = append(f.artifacts.open, s)
	f.namespaces.open = append(f.namespaces.open, s)
}

// dataFlow checks that artifacts and variables come from earlier actions.
func (c *checker) dataFlow() {
	f := newFlow(c.def)
	c.uniqueArtifacts(f)
	c.uniqueNamespaces(f)
	c.conditionFlow(f)
	for _, s := range f.sites {
		for i, name := range s.action.InputArtifacts {
			c.artifactUse(f, s, s.path.At("input_artifacts", i), name)
		}
		c.configurationFlow(f, s, s.path, s.action.TypeID(), s.action.Configuration)
		for i := range s.action.EnvironmentVariables {
			path := s.path.At("environment_variables", i).Field("value")
			c.references(f, s, path, s.action.EnvironmentVariables[i].Value)
		}
	}
}

func (c *checker) uniqueArtifacts(f *flow) {
	first := make(map[string]site)
	for _, s := range f.sites {
		for i := range s.action.OutputArtifacts {
			name := s.action.OutputArtifacts[i].Name
			if name == "" || name == Unknown {
				continue
			}
			if other, taken := first[name]; taken {
				c.refuse(s.path.At("output_artifacts", i).Field("name"),
					"artifact %q is also an output of %s; output artifact names are unique in a pipeline", name, other.describe())
				continue
			}
			first[name] = s
		}
	}
}

func (c *checker) uniqueNamespaces(f *flow) {
	first := make(map[string]site)
	for _, s := range f.sites {
		name, path := s.action.Namespace, s.path.Field("namespace")
		if name == "" || name == Unknown {
			continue
		}
		if name == NamespaceVariables || name == NamespaceCodePipeline {
			c.refuse(path, "namespace %q is reserved; choose another", name)
		}
		if other, taken := first[name]; taken {
			c.refuse(path, "namespace %q is also that of %s; namespaces are unique in a pipeline", name, other.describe())
		} else {
			first[name] = s
		}
		if producers := f.artifacts.byName[name]; len(producers) > 0 {
			c.refuse(path, "namespace %q is also the name of an output artifact of %s; choose another", name, producers[0].describe())
		}
	}
}

// describe names the site in a message.
func (s site) describe() string {
	return fmt.Sprintf("action %s in stage %s", quoted(s.action.Name), quoted(s.stageName))
}

// find returns the producer of a name that ended before the user starts, and
// how sure that is.
func (p *producers) find(name string, user site) (site, certainty) {
	found, best := site{}, no
	for _, s := range p.byName[name] {
		if answer := s.before(user); answer > best {
			found, best = s, answer
		}
	}
	if best != no {
		return found, best
	}
	// An artifact or namespace that has a producer cannot have another one.
	if len(p.byName[name]) == 0 {
		for _, s := range p.open {
			if s.before(user) != no {
				return s, maybe
			}
		}
	}
	return site{}, no
}

// why says why no producer of the name comes before the user, and what to do.
// The first words are given: what is missing, and what its producer does.
func (p *producers) why(subject, verb, name string, user site, suggest bool) string {
	sites := p.byName[name]
	if len(sites) == 0 {
		help := ""
		if suggest {
			names := p.namesBefore(user)
			help = didYouMean(name, names)
			if len(names) > 0 {
				help += fmt.Sprintf("; earlier %ss: %s", subject, enumerate(names))
			}
		}
		return fmt.Sprintf("no earlier action %s %s %q%s", verb, subject, name, help)
	}
	s := sites[0]
	switch {
	case user.action == nil:
		return fmt.Sprintf("%s %q comes only later, from %s; use only what is there when the condition is checked", subject, name, s.describe())
	case s.action == user.action:
		return fmt.Sprintf("%s %q comes from this action itself; only what earlier actions leave can be used", subject, name)
	case s.stage == user.stage && s.order == user.order:
		return fmt.Sprintf("%s %q comes from %s, which has the same run_order %d and so runs at the same time; give this action a higher run_order",
			subject, name, s.describe(), s.order)
	case s.stage == user.stage:
		return fmt.Sprintf("%s %q comes only later, from %s with run_order %d; give this action a run_order above that",
			subject, name, s.describe(), s.order)
	}
	return fmt.Sprintf("%s %q comes only later, from %s; move that action before this one", subject, name, s.describe())
}

// namesBefore returns what actions that ended before the user produce, sorted.
func (p *producers) namesBefore(user site) []string {
	var names []string
	for name, sites := range p.byName {
		if slices.ContainsFunc(sites, func(s site) bool { return s.before(user) == yes }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (c *checker) artifactUse(f *flow, user site, path Path, name string) {
	if name == "" || name == Unknown {
		return
	}
	if _, found := f.artifacts.find(name, user); found == no {
		c.refuse(path, "%s", f.artifacts.why("artifact", "produces", name, user, c.suggest()))
	}
}

// configurationFlow checks what a configuration reads.
func (c *checker) configurationFlow(f *flow, user site, path Path, id TypeID, configuration map[string]string) {
	t, _ := c.catalog.Lookup(id)
	expressions := t.expressions()
	for _, key := range slices.Sorted(maps.Keys(configuration)) {
		path, value := path.Entry("configuration", key), configuration[key]
		switch {
		case !slices.Contains(expressions, key):
			c.references(f, user, path, value)
		case value != Unknown && value != "":
			c.expression(f, user, path, value)
		}
	}
}

// references checks the references to variables in one text.
func (c *checker) references(f *flow, user site, path Path, text string) {
	if text == Unknown {
		return
	}
	if excerpt := malformedReference(text); excerpt != "" {
		c.refuse(path, "%q starts like a reference to a variable but is none; write #{namespace.key}", excerpt)
	}
	seen := make(map[Reference]bool)
	for _, reference := range References(text) {
		if !seen[reference] {
			seen[reference] = true
			c.reference(f, user, path, reference, reference.String())
		}
	}
}

// reference checks that a variable is there when it is read. It is shown as it is
// written.
func (c *checker) reference(f *flow, user site, path Path, reference Reference, shown string) {
	switch reference.Namespace {
	case NamespaceCodePipeline:
		if reference.Key != KeyPipelineExecutionID {
			c.refuse(path, "%s has no value; the only one is %s", shown,
				Reference{NamespaceCodePipeline, KeyPipelineExecutionID})
		}
	case NamespaceVariables:
		c.variableUse(user, path, reference, shown)
	default:
		producer, found := f.namespaces.find(reference.Namespace, user)
		switch {
		case found == no:
			c.refuse(path, "%s has no value: %s", shown,
				f.namespaces.why("namespace", "has the", reference.Namespace, user, c.suggest()))
		case producer.action != nil && producer.action.Namespace == reference.Namespace:
			c.keyUse(path, reference, shown, producer)
		}
	}
}

func (c *checker) variableUse(user site, path Path, reference Reference, shown string) {
	// CodePipeline does not put variables into source actions either: what is
	// fetched is said by the definition or by the event that starts an execution.
	if user.action != nil && user.action.Category == CategorySource {
		c.refuse(path, "%s may not be used in a source action; write the value itself", shown)
		return
	}
	var names []string
	for i := range c.def.Variables {
		name := c.def.Variables[i].Name
		if name == reference.Key || name == Unknown {
			return
		}
		if c.suggest() {
			names = append(names, name)
		}
	}
	help := didYouMean(reference.Key, names)
	if len(names) > 0 {
		help += "; it declares " + enumerate(names)
	}
	c.refuse(path, "%s has no value: the pipeline declares no variable %q%s", shown, reference.Key, help)
}

// keyUse checks that the producer publishes the key.
func (c *checker) keyUse(path Path, reference Reference, shown string, producer site) {
	t, ok := c.catalog.Lookup(producer.action.TypeID())
	if !ok {
		return
	}
	keys := t.VariableNames()
	if t.Takes.Has(TakesOutputVariables) {
		if _, complete := knownStrings(producer.action.OutputVariables); !complete {
			return
		}
		keys = slices.Concat(keys, producer.action.OutputVariables)
	}
	if slices.Contains(keys, reference.Key) {
		return
	}
	help := didYouMean(reference.Key, keys)
	switch {
	case t.Takes.Has(TakesOutputVariables):
		help += "; list it in the output_variables of that action"
	case len(keys) > 0:
		help += "; it publishes " + enumerate(keys)
	}
	c.refuse(path, "%s has no value: %s publishes no variable %q%s", shown, producer.describe(), reference.Key, help)
}
