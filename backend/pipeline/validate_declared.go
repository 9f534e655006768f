package pipeline

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The limits of rules that differ from those of actions.
const (
	maxRuleConfiguration = 200
	maxRuleValue         = 10000
	minRuleMinutes       = 5
)

// declared is what actions and rules have in common: what they give to their type.
type declared struct {
	id TypeID
	// name is what messages call the type.
	name            string
	configuration   map[string]string
	commands        []string
	environment     []EnvironmentVariable
	inputs          []string
	outputs         []OutputArtifact
	outputVariables []string
	roleARN, region string
	onLost          OnLost
	// minutes is the timeout, and leastMinutes the least that it may be.
	minutes, leastMinutes int
	// maxKeys and maxValue bound the configuration.
	maxKeys, maxValue int
}

func (a *Action) declared() *declared {
	d := &declared{
		id: a.TypeID(), name: a.TypeID().String(), configuration: a.Configuration, commands: a.Commands,
		environment: a.EnvironmentVariables, inputs: a.InputArtifacts, outputs: a.OutputArtifacts,
		outputVariables: a.OutputVariables, roleARN: a.RoleARN, region: a.Region, onLost: a.OnLost,
		minutes: a.TimeoutInMinutes, leastMinutes: minTimeoutMinutes, maxValue: maxConfigurationValue,
	}
	if a.Category == CategoryApproval {
		d.leastMinutes = minApprovalMinutes
	}
	return d
}

func (r *Rule) declared() *declared {
	return &declared{
		id: r.TypeID(), name: ruleOf(r.Provider), configuration: r.Configuration, commands: r.Commands,
		environment: r.EnvironmentVariables, inputs: r.InputArtifacts, roleARN: r.RoleARN, region: r.Region,
		minutes: r.TimeoutInMinutes, leastMinutes: minRuleMinutes, maxKeys: maxRuleConfiguration, maxValue: maxRuleValue,
	}
}

// ruleOf names a rule of a provider.
func ruleOf(provider string) string {
	article := "a "
	if provider != "" && strings.ContainsRune("AEIOU", rune(provider[0])) {
		article = "an "
	}
	return article + provider + " rule"
}

// declared checks what an action or a rule gives to its type: the shape of it, and if the
// type is known also that the type takes it.
func (c *checker) declared(path Path, d *declared) {
	c.configuration(path, d)
	c.commands(path, d.commands)
	c.environment(path, d.environment)
	c.inputs(path, d.inputs)
	c.roleARN(path.Field("role_arn"), d.roleARN)
	c.region(path.Field("region"), d.region)
	c.timeout(path, d)
	if t, known := c.catalog.Lookup(d.id); known {
		c.byType(path, d, &t)
	}
}

// configuration checks the lengths of keys and values.
func (c *checker) configuration(path Path, d *declared) {
	if d.maxKeys > 0 {
		known, partial := len(d.configuration), mapIsPartial(d.configuration)
		if partial {
			known--
		}
		c.count(path.Field("configuration"), "configuration keys", known, !partial, 0, d.maxKeys)
	}
	for _, key := range slices.Sorted(maps.Keys(d.configuration)) {
		if key == Unknown {
			continue
		}
		path := path.Entry("configuration", key)
		c.check(path, checkText("the configuration key", key, 1, maxConfigurationKey))
		if value := d.configuration[key]; value != Unknown {
			c.check(path, checkText("the value", value, 1, d.maxValue))
		}
	}
}

// timeout checks the bounds. CodePipeline takes a timeout for approvals only and
// ends compute after a fixed 55 minutes; here every action may have its own.
func (c *checker) timeout(path Path, d *declared) {
	if d.minutes == 0 || d.minutes == UnknownInt {
		return
	}
	if d.minutes < d.leastMinutes || d.minutes > maxTimeoutMinutes {
		c.refuse(path.Field("timeout_in_minutes"), "timeout_in_minutes is %d; use %d to %d, or leave it out for the default of the type",
			d.minutes, d.leastMinutes, maxTimeoutMinutes)
	}
}

// byType checks that the type takes what is given to it.
func (c *checker) byType(path Path, d *declared, t *Type) {
	c.properties(path, t, d.name, d.configuration)
	known, complete := knownStrings(d.inputs)
	c.count(path.Field("input_artifacts"), "input artifacts for "+d.name, known, complete, t.MinInputs, t.MaxInputs)
	known, complete = countKnown(d.outputs, opaqueArtifact)
	c.count(path.Field("output_artifacts"), "output artifacts for "+d.name, known, complete, t.MinOutputs, t.MaxOutputs)
	if d.onLost != "" && d.onLost != Unknown && t.Work != WorkAttempt {
		c.refuse(path.Field("on_lost"), "%s does not run on a runner that could be lost; remove on_lost", d.name)
	}
	if t.Takes.Has(TakesCommands) && len(d.commands) == 0 {
		c.refuse(path.Field("commands"), "%s needs commands; give it 1 to %d shell lines", d.name, maxCommands)
	}
	known, _ = knownStrings(d.commands)
	c.takes(path.Field("commands"), d, t, TakesCommands, known > 0, "commands")
	known, _ = countKnown(d.environment, opaqueEnvironment)
	c.takes(path.Field("environment_variables"), d, t, TakesEnvironment, known > 0, "environment variables")
	known, _ = knownStrings(d.outputVariables)
	c.takes(path.Field("output_variables"), d, t, TakesOutputVariables, known > 0, "list of output variables")
	for i := range d.outputs {
		known, _ = knownStrings(d.outputs[i].Files)
		c.takes(path.At("output_artifacts", i).Field("files"), d, t, TakesOutputFiles, known > 0, "file patterns for its artifact")
	}
	c.takes(path.Field("role_arn"), d, t, TakesRole, d.roleARN != "" && d.roleARN != Unknown, "IAM role")
	c.takes(path.Field("region"), d, t, TakesRegion, d.region != "" && d.region != Unknown, "AWS region")
}

// takes refuses something that is given to a type that does not take it.
func (c *checker) takes(path Path, d *declared, t *Type, what Takes, given bool, name string) {
	if !given || t.Takes.Has(what) {
		return
	}
	takers := c.takers(t.ID.Category, what)
	if takers == "" {
		c.refuse(path, "%s takes no %s; remove %s", d.name, name, path[len(path)-1].Field)
		return
	}
	c.refuse(path, "%s takes no %s; only %s does", d.name, name, takers)
}

// takers names the types of actions, or of rules, that take something. It returns nothing
// if there is none.
func (c *checker) takers(category Category, what Takes) string {
	types := c.catalog.Actions()
	if category == CategoryRule {
		types = c.catalog.Rules()
	}
	var providers []string
	categories := make(map[string][]string)
	for i := range types {
		if id := types[i].ID; types[i].Takes.Has(what) {
			if categories[id.Provider] == nil {
				providers = append(providers, id.Provider)
			}
			categories[id.Provider] = append(categories[id.Provider], string(id.Category))
		}
	}
	for i, provider := range providers {
		providers[i] = fmt.Sprintf("%s (category %s)", provider, anyOf(categories[provider]))
		if category == CategoryRule {
			providers[i] = ruleOf(provider)
		}
	}
	return anyOf(providers)
}

// anyOf joins words with commas and an or.
func anyOf(words []string) string { return join(words, " or ") }

// allOf joins words with commas and an and.
func allOf(words []string) string { return join(words, " and ") }

func join(words []string, last string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	n := len(words) - 1
	return strings.Join(words[:n], ", ") + last + words[n]
}
