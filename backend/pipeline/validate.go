package pipeline

import (
	"fmt"
	"regexp"
	"strings"
)

// The limits of a definition; CodePipeline's where it has one.
const (
	minStages            = 2
	maxStages            = 50
	maxActionsPerStage   = 50
	maxActions           = 1000
	maxDescription       = 1024
	maxVariables         = 50
	maxVariableValue     = 1000
	maxVariableText      = 200
	maxRoleARN           = 1024
	maxEncryptionKey     = 400
	minStoreLocation     = 3
	maxStoreLocation     = 63
	minRegion, maxRegion = 4, 30
)

// Validate checks a definition against the rules of CodePipeline's pipeline
// structure and against the action types that can run. It returns a
// *ValidationError with every violation, up to 1000 of them, or nil.
// The definition may be partly unknown, see Unknown. What is right but cannot
// run yet is refused too, by name.
func Validate(def *Definition, catalog *Catalog) error {
	c := &checker{def: def, catalog: catalog}
	if def == nil {
		c.refuse(nil, "there is no definition; give the pipeline at least two stages")
		return c.err()
	}
	c.settings()
	c.variables()
	c.triggers()
	c.stages()
	c.dataFlow()
	c.unsupported()
	return c.err()
}

// UnknownKinds returns what Validate says of the actions and rules whose kind the catalog does
// not hold. It looks only at the names of kinds, so the types of the catalog need only an id.
func UnknownKinds(catalog *Catalog, def *Definition) []Violation {
	c := &checker{def: def, catalog: catalog}
	for i := range def.Stages {
		stage, path := &def.Stages[i], Path(nil).At("stages", i)
		for j := range stage.Actions {
			action := &stage.Actions[j]
			if _, known := catalog.Lookup(action.TypeID()); !known && !opaqueAction(action) {
				c.actionKind(path.At("actions", j), action)
			}
		}
		c.ruleKinds(path.Field("before_entry"), stage.BeforeEntry)
		c.ruleKinds(path.Field("on_success"), stage.OnSuccess)
		c.ruleKinds(path.Field("on_failure").Field("condition"), stage.Condition(ConditionOnFailure))
	}
	return c.violations
}

// ruleKinds checks that the types of the rules of a condition exist, if it has one.
func (c *checker) ruleKinds(path Path, condition *Condition) {
	if condition == nil {
		return
	}
	for i := range condition.Rules {
		rule := &condition.Rules[i]
		if _, known := c.catalog.Lookup(rule.TypeID()); !known && !opaqueRule(rule) {
			c.ruleKind(path.At("rules", i), rule)
		}
	}
}

// checker collects the violations of one definition.
type checker struct {
	def        *Definition
	catalog    *Catalog
	violations []Violation
}

// What bounds the work and the answer that a hostile definition can cause.
const (
	maxViolations = 1000
	maxMessage    = 2000
	// Beyond so many violations no word is compared with others any more.
	maxSuggestions = 20
)

func (c *checker) refuse(path Path, format string, args ...any) {
	c.check(path, fmt.Errorf(format, args...))
}

// check refuses what err says, if it says something.
func (c *checker) check(path Path, err error) {
	if err == nil || len(c.violations) == maxViolations {
		return
	}
	message := err.Error()
	if len(message) > maxMessage {
		message = strings.ToValidUTF8(message[:maxMessage], "") + "…"
	}
	if where := Locate(c.def, path); where != "" {
		message = where + ": " + message
	}
	c.violations = append(c.violations, Violation{Path: path, Message: message})
}

// unknownKind refuses a kind that the catalog does not hold. field is the part of its name
// that no kind of the catalog has, similar what it may be a typo of.
func (c *checker) unknownKind(field Path, similar, format string, args ...any) {
	before := len(c.violations)
	c.refuse(field, format, args...)
	if len(c.violations) > before {
		c.violations[before].UnknownKind = similar == ""
	}
}

// suggest tells whether it is worth to look for what was meant.
func (c *checker) suggest() bool {
	return len(c.violations) < maxSuggestions
}

func (c *checker) err() error {
	if len(c.violations) == 0 {
		return nil
	}
	return &ValidationError{Violations: c.violations}
}

// count checks the length of a list. A list that is not complete may still get
// longer, but not shorter.
func (c *checker) count(path Path, what string, known int, complete bool, least, most int) {
	switch {
	case complete && known < least:
		c.refuse(path, "%s given; at least %d needed", counted(known, what), least)
	case known > most:
		c.refuse(path, "%s given; at most %d allowed", counted(known, what), most)
	}
}

// unique refuses the second and later uses of a word. It returns a function that
// takes one word after another.
func (c *checker) unique(format string) func(path Path, word string) {
	seen := make(map[string]bool)
	return func(path Path, word string) {
		if word == Unknown || word == "" {
			return
		}
		if seen[word] {
			c.refuse(path, format, word)
		}
		seen[word] = true
	}
}

// text checks a text that may be absent.
func (c *checker) text(path Path, what, value string, most int) {
	if value != Unknown {
		c.check(path, checkText(what, value, 0, most))
	}
}

// word checks a word that is required.
func (c *checker) word(path Path, what, value, extra string, most int) {
	if value != Unknown {
		c.check(path, checkWord(what, value, extra, most))
	}
}

// name checks a name that becomes a segment of a resource name.
func (c *checker) name(path Path, what, value string) {
	if value != Unknown {
		c.check(path, checkName(what, value, nameExtra))
	}
}

func (c *checker) oneOf(path Path, what, value string, words ...string) {
	if value != Unknown {
		c.check(path, oneOf(what, value, words...))
	}
}

func (c *checker) settings() {
	root := Path(nil)
	def := c.def
	c.text(root.Field("description"), "the description", def.Description, maxDescription)
	if def.ExecutionMode != "" {
		c.oneOf(root.Field("execution_mode"), "execution mode", string(def.ExecutionMode),
			string(Superseded), string(Queued), string(Parallel))
	}
	if def.OnUpdate != "" {
		c.oneOf(root.Field("on_update"), "on_update", string(def.OnUpdate), string(OnUpdateFinish), string(OnUpdateCancel))
	}
	if def.PipelineType != "" {
		c.oneOf(root.Field("pipeline_type"), "pipeline type", string(def.PipelineType), string(PipelineTypeV1), string(PipelineTypeV2))
	}
	c.roleARN(root.Field("role_arn"), def.RoleARN)
	c.artifactStores()
}

var (
	roleARNPattern       = regexp.MustCompile(`^arn:aws(-\w+)*:iam::[0-9]{12}:role/.+$`)
	storeLocationPattern = regexp.MustCompile(`^[A-Za-z0-9.-]+$`)
	regionPattern        = regexp.MustCompile(`^[a-z0-9-]+$`)
)

func (c *checker) roleARN(path Path, arn string) {
	if arn == "" || arn == Unknown {
		return
	}
	if len(arn) > maxRoleARN || !roleARNPattern.MatchString(arn) {
		c.refuse(path, "role_arn is not the ARN of an IAM role; write arn:aws:iam::ACCOUNT:role/NAME, at most %d characters", maxRoleARN)
	}
}

func (c *checker) region(path Path, region string) {
	if region == "" || region == Unknown {
		return
	}
	if len(region) < minRegion || len(region) > maxRegion || !regionPattern.MatchString(region) {
		c.refuse(path, "%q is not the name of an AWS region; write it as in eu-central-1", region)
	}
}

func (c *checker) artifactStores() {
	stores := c.def.ArtifactStores
	_, complete := countKnown(stores, opaqueStore)
	unique := c.unique("region %q has more than one artifact store; keep one")
	for i := range stores {
		store := &stores[i]
		if opaqueStore(store) {
			continue
		}
		path := Path(nil).At("artifact_stores", i)
		c.oneOf(path.Field("type"), "artifact store type", store.Type, "S3")
		if l := store.Location; l != Unknown &&
			(len(l) < minStoreLocation || len(l) > maxStoreLocation || !storeLocationPattern.MatchString(l)) {
			c.refuse(path.Field("location"), "%q is not the name of a bucket; use %d to %d of A-Z a-z 0-9 . -",
				l, minStoreLocation, maxStoreLocation)
		}
		c.region(path.Field("region"), store.Region)
		unique(path.Field("region"), store.Region)
		// CodePipeline: either one store or a map of them by region.
		if complete && len(stores) > 1 && store.Region == "" {
			c.refuse(path.Field("region"), "one of several artifact stores needs a region; name it")
		}
		c.encryptionKey(path, store)
	}
}

func (c *checker) encryptionKey(path Path, store *ArtifactStore) {
	id, kind := store.EncryptionKeyID, store.EncryptionKeyType
	if id == "" && kind == "" || anyUnknown(id, kind) {
		return
	}
	if id == "" {
		c.refuse(path.Field("encryption_key_id"), "the encryption key has a type but no id; name the key")
	}
	c.text(path.Field("encryption_key_id"), "the encryption key id", id, maxEncryptionKey)
	c.oneOf(path.Field("encryption_key_type"), "encryption key type", kind, "KMS")
}

func (c *checker) variables() {
	variables := c.def.Variables
	known, complete := countKnown(variables, opaqueVariable)
	c.count(Path(nil).Field("variables"), "variables", known, complete, 0, maxVariables)
	unique := c.unique("variable %q is declared more than once; rename or remove one")
	for i := range variables {
		variable := &variables[i]
		path := Path(nil).At("variables", i)
		c.word(path.Field("name"), "variable name", variable.Name, namespaceExtra, maxVariableName)
		unique(path.Field("name"), variable.Name)
		if value := variable.DefaultValue; value != nil && *value != Unknown {
			c.check(path.Field("default_value"), checkText("the default value", *value, 1, maxVariableValue))
		}
		c.text(path.Field("description"), "the description", variable.Description, maxVariableText)
	}
}

func (c *checker) stages() {
	root := Path(nil)
	stages := c.def.Stages
	known, complete := countKnown(stages, opaqueStage)
	c.count(root.Field("stages"), "stages", known, complete, minStages, maxStages)
	unique := c.unique("stage %q occurs more than once; stage names are unique in a pipeline")
	actions := 0
	for i := range stages {
		stage := &stages[i]
		if opaqueStage(stage) {
			continue
		}
		path := root.At("stages", i)
		c.name(path.Field("name"), "stage name", stage.Name)
		unique(path.Field("name"), stage.Name)
		known, complete := countKnown(stage.Actions, opaqueAction)
		c.count(path.Field("actions"), "actions", known, complete, 1, maxActionsPerStage)
		actions += known
		c.actions(path, stage)
		c.conditions(path, stage, i == 0)
	}
	if actions > maxActions {
		c.refuse(root.Field("stages"), "the pipeline has %d actions; at most %d allowed", actions, maxActions)
	}
	c.sources()
}

func (c *checker) actions(path Path, stage *Stage) {
	unique := c.unique("action %q occurs more than once; action names are unique in a stage")
	for i := range stage.Actions {
		action := &stage.Actions[i]
		if opaqueAction(action) {
			continue
		}
		path := path.At("actions", i)
		unique(path.Field("name"), action.Name)
		c.action(path, action)
	}
}

// sources checks where source actions are: in the first stage and nowhere else,
// with nothing beside them.
func (c *checker) sources() {
	stages := c.def.Stages
	first := position{certain: true}
	// Whether an action that is no source exists, or may exist.
	work := false
	for i := range stages {
		stage := &stages[i]
		if opaqueStage(stage) {
			work = true
			if !first.past {
				first.certain = false
			}
			continue
		}
		hasSource, open := false, false
		if len(stage.Actions) == 0 {
			// Refused already; what is missing may be of either kind.
			open, work = true, true
		}
		for j := range stage.Actions {
			action := &stage.Actions[j]
			path := Path(nil).At("stages", i).At("actions", j).Field("category")
			switch {
			case opaqueAction(action) || action.Category == Unknown:
				open, work = true, true
			case action.Category == CategorySource:
				hasSource = true
				if first.past {
					c.refuse(path, "source actions belong in the first stage; move action %s there", quoted(action.Name))
				}
			default:
				work = true
				if first.here() {
					c.refuse(path, "the first stage holds only source actions; move action %s to a later stage", quoted(action.Name))
				}
			}
		}
		if first.here() && !hasSource && !open {
			c.refuse(Path(nil).At("stages", i).Field("actions"), "the first stage needs a source action, for instance Source/Headrace/Git/1")
		}
		first.past = true
	}
	if !work && len(stages) > 0 {
		c.refuse(Path(nil).Field("stages"), "the pipeline has only source actions; add a stage with an action that does something with them")
	}
}

// position tells where a walk over the stages is.
type position struct {
	// past is set once a stage was met that certainly exists.
	past bool
	// certain is unset when stages that may exist come before.
	certain bool
}

// here tells whether this is certainly the first stage.
func (p position) here() bool { return p.certain && !p.past }

// quoted returns a name for a message, which may be unknown.
func quoted(name string) string {
	if name == Unknown {
		return "with a name not known yet"
	}
	return fmt.Sprintf("%q", name)
}
