package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	minRunOrder          = 1
	maxRunOrder          = 999
	maxConfigurationKey  = 50
	maxCommands          = 50
	maxCommand           = 1000
	maxEnvironment       = 10
	maxEnvironmentValue  = 2000
	maxOutputVariables   = 15
	maxOutputFiles       = 10
	maxOutputFile        = 128
	minTimeoutMinutes    = 1
	minApprovalMinutes   = 5
	maxTimeoutMinutes    = 86400
	reservedEnvironment  = "HEADRACE_"
	scriptEnvironment    = "_headrace_"
	hintCommandsCategory = "Commands (category Build, Test, Deploy or Compute)"
)

// maxConfigurationValue is fifty times what CodePipeline documents. Its 1000
// characters are the limit that people hit most, with an error that does not say
// so; the service itself is known to answer with this number.
const maxConfigurationValue = 50000

// action checks one action by itself.
func (c *checker) action(path Path, a *Action) {
	c.name(path.Field("name"), "action name", a.Name)
	c.actionTypeID(path, a)
	if a.RunOrder != 0 && a.RunOrder != UnknownInt && (a.RunOrder < minRunOrder || a.RunOrder > maxRunOrder) {
		c.refuse(path.Field("run_order"), "run_order is %d; use %d to %d, or leave it out for 1", a.RunOrder, minRunOrder, maxRunOrder)
	}
	c.outputs(path, a)
	c.outputVariables(path, a)
	if a.Namespace != "" {
		c.word(path.Field("namespace"), "namespace", a.Namespace, namespaceExtra, maxName)
	}
	if a.OnLost != "" {
		c.oneOf(path.Field("on_lost"), "on_lost", string(a.OnLost), string(OnLostFail), string(OnLostRetry))
	}
	c.declared(path, a.declared())
	c.detection(path, a)
}

// actionTypeID checks that the type exists, and underlines the part of it that
// is wrong.
func (c *checker) actionTypeID(path Path, a *Action) {
	well := len(c.violations)
	c.oneOf(path.Field("category"), "category", string(a.Category), string(CategorySource), string(CategoryBuild),
		string(CategoryTest), string(CategoryDeploy), string(CategoryApproval), string(CategoryInvoke), string(CategoryCompute))
	if a.Owner == "" {
		c.refuse(path.Field("owner"), "owner is missing; the built-in actions have %q", Owner)
	}
	c.word(path.Field("provider"), "provider", a.Provider, artifactExtra, maxProviderName)
	c.word(path.Field("version"), "version", a.Version, artifactExtra, maxTypeVersionName)
	if len(c.violations) == well {
		c.actionKind(path, a)
	}
}

// actionKind checks that the catalog holds the type of the action.
func (c *checker) actionKind(path Path, a *Action) {
	id, known := a.TypeID(), ids(c.catalog.Actions())
	parts := []struct {
		field, value string
		of           func(TypeID) string
	}{
		{"category", string(id.Category), func(t TypeID) string { return string(t.Category) }},
		{"owner", id.Owner, func(t TypeID) string { return t.Owner }},
		{"provider", id.Provider, func(t TypeID) string { return t.Provider }},
		{"version", id.Version, func(t TypeID) string { return t.Version }},
	}
	for _, part := range parts {
		if part.value == Unknown {
			continue
		}
		var near []string
		var left []TypeID
		for _, t := range known {
			near = append(near, part.of(t))
			if part.of(t) == part.value {
				left = append(left, t)
			}
		}
		if len(left) == 0 {
			similar := didYouMean(part.value, near)
			if counterpart, ok := c.counterpart(id); ok {
				similar = didYouMeanType(counterpart)
			}
			c.unknownKind(path.Field(part.field), similar, "action type %s is not supported by this version of Headrace%s; use one of %s",
				describeType(id), similar, listTypes(ids(c.catalog.Actions()), id.Category))
			return
		}
		known = left
	}
}

// ownerCodePipeline owns the types that come with CodePipeline.
const ownerCodePipeline = "AWS"

// counterpart returns the type of Headrace that does what a type of CodePipeline with the same
// category and provider does. A definition that was copied from CodePipeline means it.
func (c *checker) counterpart(id TypeID) (TypeID, bool) {
	if id.Owner != ownerCodePipeline {
		return TypeID{}, false
	}
	id.Owner = Owner
	_, known := c.catalog.Lookup(id)
	return id, known
}

func didYouMeanType(id TypeID) string {
	return fmt.Sprintf(" (did you mean %s?)", id)
}

func describeType(id TypeID) string {
	return strings.ReplaceAll(id.String(), Unknown, "(not known yet)")
}

// listTypes returns the ids, those of the category first: whoever misspelt a
// provider looks for it there.
func listTypes(ids []TypeID, first Category) string {
	var words, others []string
	for _, id := range ids {
		if id.Category == first {
			words = append(words, id.String())
		} else {
			others = append(others, id.String())
		}
	}
	return strings.Join(append(words, others...), ", ")
}

// commands checks the shell lines of an action or a rule.
func (c *checker) commands(path Path, commands []string) {
	known, complete := knownStrings(commands)
	c.count(path.Field("commands"), "commands", known, complete, 0, maxCommands)
	windows := false
	for i, command := range commands {
		if command == Unknown {
			continue
		}
		path := path.At("commands", i)
		c.check(path, checkText("the command", command, 1, maxCommand))
		c.newlines(path, command)
		if strings.Contains(command, "\r") && !windows {
			// All commands of a file are alike.
			windows = true
			c.refuse(path, `the command contains a carriage return (\r), as in files with Windows line endings, which the shell reads as part of the last word; `+
				`convert the file to Unix line endings, or remove the \r with replace(text, "\r", "")`)
		}
		// CodePipeline puts the text of a variable into the command. Values such as
		// a commit message come from whoever may push, so that would let them run
		// commands with the rights of the pipeline. An environment variable carries
		// the same value without the shell reading it.
		if references := References(command); len(references) > 0 {
			c.refuse(path, "%s", referenceInCommand(references[0]))
		}
	}
}

// newlines refuses a command that is not one line. A heredoc and a file end in a newline.
func (c *checker) newlines(path Path, command string) {
	line := strings.TrimRight(command, "\r\n")
	switch {
	case strings.Contains(line, "\n"):
		c.refuse(path, `the command has %d lines, but a command is one line; write an if or a loop on one line, as in "if a; then b; fi", `+
			`put commands that are complete by themselves into separate entries, or call a script in the repository`, strings.Count(line, "\n")+1)
	case strings.Contains(command, "\n"):
		c.refuse(path, `the command ends in a newline, as the text of a heredoc does; remove it with chomp(text)`)
	}
}

// environment checks the environment variables of an action or a rule.
func (c *checker) environment(path Path, variables []EnvironmentVariable) {
	known, complete := countKnown(variables, opaqueEnvironment)
	c.count(path.Field("environment_variables"), "environment variables", known, complete, 0, maxEnvironment)
	unique := c.unique("environment variable %q is given more than once; remove one")
	for i := range variables {
		variable := &variables[i]
		path := path.At("environment_variables", i)
		if name := variable.Name; name != Unknown {
			c.check(path.Field("name"), checkShellName("environment variable name", name))
			for _, prefix := range []string{reservedEnvironment, scriptEnvironment} {
				if strings.HasPrefix(name, prefix) {
					c.refuse(path.Field("name"), "names that start with %s are reserved for Headrace; rename %q", prefix, name)
				}
			}
			unique(path.Field("name"), name)
			if variable.Value != Unknown {
				c.check(path.Field("value"), checkEnvironmentValue(variable))
			}
		}
		if variable.Type != "" {
			c.oneOf(path.Field("type"), "environment variable type", string(variable.Type),
				string(EnvironmentPlaintext), string(EnvironmentSecret), string(EnvironmentSecretsManager))
		}
	}
}

// checkEnvironmentValue checks a value that is known. A secret is named in the definition,
// so that whoever reads the definition sees which ones an action gets.
func checkEnvironmentValue(variable *EnvironmentVariable) error {
	if variable.Type != EnvironmentSecret {
		return checkText("the value", variable.Value, 1, maxEnvironmentValue)
	}
	if len(References(variable.Value)) > 0 {
		return errors.New("the value of type SECRET is the name of a secret and cannot refer to variables; write the name")
	}
	if err := CheckSecret(variable.Value); err != nil {
		return fmt.Errorf("the value of type SECRET is the name of a secret: %w", err)
	}
	return nil
}

func (c *checker) inputs(path Path, inputs []string) {
	unique := c.unique("input artifact %q is listed more than once; remove one")
	// The input that each environment variable is for.
	taken := make(map[string]string)
	for i, name := range inputs {
		path := path.At("input_artifacts", i)
		c.word(path, "artifact name", name, artifactExtra, maxName)
		unique(path, name)
		if name == Unknown {
			continue
		}
		variable := InputVariable(name)
		if other, found := taken[variable]; found && other != name {
			c.refuse(path, "input artifacts %q and %q share the environment variable %s, so commands could reach only one of them; rename one artifact",
				other, name, variable)
			continue
		}
		taken[variable] = name
	}
}

// InputVariable returns the name of the environment variable that holds the directory of
// an input artifact. Names that differ only in case, or in - and _, share one.
func InputVariable(artifact string) string {
	return reservedEnvironment + "INPUT_" + strings.Map(func(r rune) rune {
		switch {
		case !isLetterOrDigit(r):
			return '_'
		case r >= 'a':
			return r - 'a' + 'A'
		}
		return r
	}, artifact)
}

func (c *checker) outputs(path Path, a *Action) {
	for i := range a.OutputArtifacts {
		artifact := &a.OutputArtifacts[i]
		path := path.At("output_artifacts", i)
		c.word(path.Field("name"), "artifact name", artifact.Name, artifactExtra, maxName)
		known, complete := knownStrings(artifact.Files)
		c.count(path.Field("files"), "file patterns", known, complete, 0, maxOutputFiles)
		for j, pattern := range artifact.Files {
			if pattern != Unknown {
				c.check(path.At("files", j), checkFiles(pattern))
			}
		}
	}
}

// checkFiles checks a pattern for files below the work directory.
func checkFiles(pattern string) error {
	if err := checkText("the file pattern", pattern, 1, maxOutputFile); err != nil {
		return err
	}
	if strings.HasPrefix(pattern, "/") {
		return fmt.Errorf("file pattern %q is absolute; write it relative to the work directory", pattern)
	}
	// Alternatives may hold whole segments, as in {dist,../secrets}/**.
	segments := strings.FieldsFunc(pattern, func(r rune) bool { return strings.ContainsRune("/{,}", r) })
	if slices.Contains(segments, "..") {
		return fmt.Errorf("file pattern %q leaves the work directory; remove \"..\" from it", pattern)
	}
	if slices.Contains(segments, ".") {
		return fmt.Errorf("file pattern %q has a segment that is only a dot, which matches nothing; remove it", pattern)
	}
	return CheckGlob(pattern)
}

func (c *checker) outputVariables(path Path, a *Action) {
	known, complete := knownStrings(a.OutputVariables)
	c.count(path.Field("output_variables"), "output variables", known, complete, 0, maxOutputVariables)
	unique := c.unique("output variable %q is listed more than once; remove one")
	for i, name := range a.OutputVariables {
		if name == Unknown {
			continue
		}
		c.check(path.At("output_variables", i), checkShellName("output variable name", name))
		unique(path.At("output_variables", i), name)
	}
}
