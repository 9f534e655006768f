package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// The namespaces that no action may take.
const (
	// NamespaceVariables holds the pipeline's variables.
	NamespaceVariables = "variables"
	// NamespaceCodePipeline holds what is known of the execution itself, under
	// the name that CodePipeline gave it.
	NamespaceCodePipeline = "codepipeline"
)

// KeyPipelineExecutionID is the only key of NamespaceCodePipeline.
const KeyPipelineExecutionID = "PipelineExecutionId"

// MaxResolvedBytes bounds the configuration and environment of one action after
// variables were put in, as CodePipeline's 100 KB for resolved configuration.
const MaxResolvedBytes = 100 * 1024

// Reference is a use of a variable, #{namespace.key}.
type Reference struct {
	Namespace string
	Key       string
}

// String returns the reference as it is written.
func (r Reference) String() string {
	return "#{" + r.Namespace + "." + r.Key + "}"
}

// LookupFunc returns the value of a variable, and whether there is one.
type LookupFunc = func(namespace, key string) (value string, ok bool)

var referencePattern = regexp.MustCompile(`#\{([A-Za-z0-9@_-]+)\.([A-Za-z0-9@_-]+)\}`)

// References returns the references in a text, in their order, repeated where
// the text repeats them.
func References(text string) []Reference {
	if !strings.Contains(text, "#{") {
		return nil
	}
	var references []Reference
	for _, match := range referencePattern.FindAllStringSubmatch(text, -1) {
		references = append(references, Reference{Namespace: match[1], Key: match[2]})
	}
	return references
}

// malformedReference returns the start of a text that looks like a reference
// and is none, or nothing.
func malformedReference(text string) string {
	for _, rest := range referencePattern.Split(text, -1) {
		start := strings.Index(rest, "#{")
		if start < 0 {
			continue
		}
		// An excerpt only: the rest of the value is nobody's business.
		excerpt := []rune(rest[start:])
		if end := slices.Index(excerpt, '}'); end >= 0 {
			excerpt = excerpt[:end+1]
		}
		return string(excerpt[:min(len(excerpt), 40)])
	}
	return ""
}

// Resolve replaces the references in a text by their values. Values are not
// searched for references again, so that nobody who can influence a value (the
// author of a commit message, say) can read another variable. Text that is not
// a whole reference stays as it is. The error names the first reference without
// a value.
func Resolve(text string, lookup LookupFunc) (string, error) {
	return resolve(text, lookup, -1)
}

// resolve is Resolve that stops as soon as the result exceeds limit bytes, where
// limit is not negative.
func resolve(text string, lookup LookupFunc, limit int) (string, error) {
	var out strings.Builder
	end := 0
	for _, match := range referencePattern.FindAllStringSubmatchIndex(text, -1) {
		reference := Reference{Namespace: text[match[2]:match[3]], Key: text[match[4]:match[5]]}
		value, ok := lookup(reference.Namespace, reference.Key)
		if !ok {
			return "", fmt.Errorf("%s has no value: no action that ended before published it", reference)
		}
		out.WriteString(text[end:match[0]])
		out.WriteString(value)
		end = match[1]
		if limit >= 0 && out.Len() > limit {
			break
		}
	}
	if limit >= 0 && out.Len()+len(text)-end > limit {
		return "", fmt.Errorf("configuration and environment exceed %d bytes once variables are put in; pass large values as artifacts", MaxResolvedBytes)
	}
	out.WriteString(text[end:])
	return out.String(), nil
}

// ResolveAction returns a deep copy of the action with the references in its
// configuration and environment variables replaced. The error names the field.
//
// Commands are taken as they are, and refused if they hold a reference:
// CodePipeline pastes values into shell lines, which lets whoever writes a commit
// message run commands. Validate refuses such a definition beforehand.
//
// Expressions of the type are taken as they are, too: they read variables by themselves,
// and a value that became part of one could change what it means.
func ResolveAction(action Action, kind *Type, lookup LookupFunc) (Action, error) {
	resolved := action.Clone()
	if err := resolveFields(action.Commands, resolved.Configuration, resolved.EnvironmentVariables, kind, lookup); err != nil {
		return Action{}, err
	}
	return resolved, nil
}

// resolveFields replaces the references in a configuration and an environment, and checks
// the values of the configuration that they change.
func resolveFields(commands []string, configuration map[string]string, environment []EnvironmentVariable, kind *Type, lookup LookupFunc) error {
	if err := refuseInCommands(commands); err != nil {
		return err
	}
	budget := MaxResolvedBytes
	for _, key := range slices.Sorted(maps.Keys(configuration)) {
		property, _ := kind.Property(key)
		value, err := property.resolve(configuration[key], lookup, budget)
		if err != nil {
			return fmt.Errorf("%s: %w", Path(nil).Entry("configuration", key), err)
		}
		budget -= len(value)
		configuration[key] = value
	}
	for i := range environment {
		value, err := resolve(environment[i].Value, lookup, budget)
		if err != nil {
			return fmt.Errorf("%s: %w", Path(nil).At("environment_variables", i).Field("value"), err)
		}
		budget -= len(value)
		environment[i].Value = value
	}
	return nil
}

// resolve returns the value of a property with its references replaced. Such a value is
// checked now, since it could not be when it was declared.
func (p *Property) resolve(declared string, lookup LookupFunc, limit int) (string, error) {
	references := References(declared)
	switch {
	case len(references) == 0:
		return resolve(declared, lookup, limit)
	case p.Type == PropertyExpression:
		return "", errors.New(referenceInExpression(references[0]))
	}
	value, err := resolve(declared, lookup, limit)
	if err != nil {
		return "", err
	}
	return value, p.check(value)
}

// refuseInCommands refuses references in commands; the error names the command.
func refuseInCommands(commands []string) error {
	for i, command := range commands {
		if references := References(command); len(references) > 0 {
			return fmt.Errorf("%s: %s", Path(nil).At("commands", i), referenceInCommand(references[0]))
		}
	}
	return nil
}

// referenceInCommand says why a reference may not stand in a command.
func referenceInCommand(reference Reference) string {
	return fmt.Sprintf("a command may not hold %s, since the value would become shell code; "+
		"add an environment_variable with the value %q and read it in the command as \"$NAME\"",
		reference, reference.String())
}

// Clone returns a deep copy of the action.
func (a *Action) Clone() Action {
	clone := *a
	clone.Configuration = maps.Clone(a.Configuration)
	clone.Commands = slices.Clone(a.Commands)
	clone.EnvironmentVariables = slices.Clone(a.EnvironmentVariables)
	clone.InputArtifacts = slices.Clone(a.InputArtifacts)
	clone.OutputVariables = slices.Clone(a.OutputVariables)
	clone.OutputArtifacts = slices.Clone(a.OutputArtifacts)
	for i := range clone.OutputArtifacts {
		clone.OutputArtifacts[i].Files = slices.Clone(clone.OutputArtifacts[i].Files)
	}
	return clone
}

// ValidateVariables returns the values that an execution of a valid definition
// starts with: those given, and the defaults of the others. The error is a
// *ValidationError with the path variables["name"] for every variable that is
// missing, not declared, empty, or longer than 1000 characters.
func ValidateVariables(def *Definition, given map[string]string) (map[string]string, error) {
	var c checker
	resolved := make(map[string]string, len(def.Variables))
	names := make([]string, 0, len(def.Variables))
	for i := range def.Variables {
		variable := &def.Variables[i]
		names = append(names, variable.Name)
		if value, ok := given[variable.Name]; ok {
			resolved[variable.Name] = value
			c.check(Path(nil).Entry("variables", variable.Name), checkText("the value of the variable", value, 1, maxVariableValue))
			continue
		}
		if variable.DefaultValue == nil {
			c.refuse(Path(nil).Entry("variables", variable.Name),
				"variable %q has no default; give it a value at the start", variable.Name)
			continue
		}
		resolved[variable.Name] = *variable.DefaultValue
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(names, name) {
			continue
		}
		c.refuse(Path(nil).Entry("variables", name),
			"the pipeline declares no variable %q%s", name, didYouMean(name, names))
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	return resolved, nil
}
