package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
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
	typePlaintext        = "PLAINTEXT"
	typeSecretsManager   = "SECRETS_MANAGER"
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
	c.configuration(path, a)
	c.commands(path, a.Commands)
	c.environment(path, a.EnvironmentVariables)
	c.inputs(path, a.InputArtifacts)
	c.outputs(path, a)
	c.outputVariables(path, a)
	if a.Namespace != "" {
		c.word(path.Field("namespace"), "namespace", a.Namespace, namespaceExtra, maxName)
	}
	c.roleARN(path.Field("role_arn"), a.RoleARN)
	c.region(path.Field("region"), a.Region)
	c.timeout(path, a)
	if a.OnLost != "" {
		c.oneOf(path.Field("on_lost"), "on_lost", string(a.OnLost), string(OnLostFail), string(OnLostRetry))
	}
	if t, ok := c.catalog.Lookup(a.TypeID()); ok {
		c.byType(path, a, &t)
	}
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
	if len(c.violations) > well {
		return
	}
	id, known := a.TypeID(), c.catalog.IDs()
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
			c.refuse(path.Field(part.field), "action type %s is not run by this version of Headrace%s; use one of %s",
				describeType(id), didYouMean(part.value, near), listTypes(c.catalog.IDs(), id.Category))
			return
		}
		known = left
	}
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

func (c *checker) configuration(path Path, a *Action) {
	for _, key := range slices.Sorted(maps.Keys(a.Configuration)) {
		if key == Unknown {
			continue
		}
		path := path.Entry("configuration", key)
		c.check(path, checkText("the configuration key", key, 1, maxConfigurationKey))
		if value := a.Configuration[key]; value != Unknown {
			c.check(path, checkText("the value", value, 1, maxConfigurationValue))
		}
	}
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
				c.check(path.Field("value"), checkText("the value", variable.Value, 1, maxEnvironmentValue))
			}
		}
		if variable.Type != "" {
			c.oneOf(path.Field("type"), "environment variable type", variable.Type, typePlaintext, typeSecretsManager)
		}
	}
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

// timeout checks the bounds. CodePipeline takes a timeout for approvals only and
// ends compute after a fixed 55 minutes; here every action may have its own.
func (c *checker) timeout(path Path, a *Action) {
	minutes, least := a.TimeoutInMinutes, minTimeoutMinutes
	if minutes == 0 || minutes == UnknownInt {
		return
	}
	if a.Category == CategoryApproval {
		least = minApprovalMinutes
	}
	if minutes < least || minutes > maxTimeoutMinutes {
		c.refuse(path.Field("timeout_in_minutes"), "timeout_in_minutes is %d; use %d to %d, or leave it out for the default of the action type",
			minutes, least, maxTimeoutMinutes)
	}
}

// byType checks what the type of the action asks for.
func (c *checker) byType(path Path, a *Action, t *ActionType) {
	c.configurationKeys(path, a, t)
	known, complete := knownStrings(a.InputArtifacts)
	c.count(path.Field("input_artifacts"), "input artifacts for "+t.ID.String(), known, complete, t.MinInputs, t.MaxInputs)
	known, complete = countKnown(a.OutputArtifacts, opaqueArtifact)
	c.count(path.Field("output_artifacts"), "output artifacts for "+t.ID.String(), known, complete, t.MinOutputs, t.MaxOutputs)
	if a.OnLost != "" && a.OnLost != Unknown && t.Work != WorkAttempt {
		c.refuse(path.Field("on_lost"), "%s does not run on a runner that could be lost; remove on_lost", t.ID)
	}
	if t.Commands {
		if len(a.Commands) == 0 {
			c.refuse(path.Field("commands"), "%s needs commands; give it 1 to %d shell lines", t.ID, maxCommands)
		}
		return
	}
	c.noCommands(path, a, t)
}

// noCommands refuses what only Commands actions take.
func (c *checker) noCommands(path Path, a *Action, t *ActionType) {
	refuse := func(path Path, what string) {
		c.refuse(path, "%s takes no %s; only %s does", t.ID, what, hintCommandsCategory)
	}
	if known, _ := knownStrings(a.Commands); known > 0 {
		refuse(path.Field("commands"), "commands")
	}
	if known, _ := countKnown(a.EnvironmentVariables, opaqueEnvironment); known > 0 {
		refuse(path.Field("environment_variables"), "environment variables")
	}
	if known, _ := knownStrings(a.OutputVariables); known > 0 {
		refuse(path.Field("output_variables"), "output variables to choose")
	}
	for i := range a.OutputArtifacts {
		if known, _ := knownStrings(a.OutputArtifacts[i].Files); known > 0 {
			refuse(path.At("output_artifacts", i).Field("files"), "file patterns for its artifact")
		}
	}
}

func (c *checker) configurationKeys(path Path, a *Action, t *ActionType) {
	var names []string
	for _, key := range t.Configuration {
		names = append(names, key.Name)
		if _, given := a.Configuration[key.Name]; key.Required && !given && !mapIsPartial(a.Configuration) {
			c.refuse(path.Entry("configuration", key.Name), "%s needs the configuration key %q; give it a value", t.ID, key.Name)
		}
		if value, given := a.Configuration[key.Name]; given && value != Unknown && key.Check != nil {
			c.check(path.Entry("configuration", key.Name), key.Check(value))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(a.Configuration)) {
		switch {
		case key == Unknown || slices.Contains(names, key):
		case len(names) == 0:
			c.refuse(path.Entry("configuration", key), "%s takes no configuration; remove %q", t.ID, key)
		default:
			c.refuse(path.Entry("configuration", key), "%s has no configuration key %q%s; it has %s",
				t.ID, key, didYouMean(key, names), strings.Join(names, ", "))
		}
	}
	given := ""
	for _, key := range t.ExclusiveKeys {
		// A value that is not known yet may turn out to be none.
		if value, ok := a.Configuration[key]; !ok || value == Unknown {
			continue
		}
		if given != "" {
			c.refuse(path.Entry("configuration", key), "%s and %s exclude each other; keep one of %s",
				given, key, strings.Join(t.ExclusiveKeys, ", "))
			continue
		}
		given = key
	}
}

// checkRepository refuses an address of a repository that holds credentials: who
// may see the pipeline would see them. A user name alone tells over http, where it
// may be a token, but not over ssh.
func checkRepository(address string) error {
	const advice = "would be readable by whoever may read the pipeline, and lie in Terraform's state; use ssh with a key of the server, or an address without them"
	scheme, rest, isURL := strings.Cut(address, "://")
	if !isURL {
		login, _, found := strings.Cut(address, "@")
		if found && strings.Contains(login, ":") && !strings.HasPrefix(address, "/") {
			return errors.New("a password in RepositoryUrl " + advice + " (a path with : before @ is written as ssh://host/path)")
		}
		return nil
	}
	// As in a browser, all up to the last @ before the path.
	authority := rest
	if end := strings.IndexAny(rest, "/?#\\"); end >= 0 {
		authority = rest[:end]
	}
	end := strings.LastIndex(authority, "@")
	web := strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https")
	// Where the address is no URL, its password may hold a slash.
	_, err := url.Parse(address)
	switch {
	case err != nil && strings.Contains(rest, "@"), end >= 0 && web:
		return errors.New("credentials in RepositoryUrl " + advice)
	case end >= 0 && strings.Contains(authority[:end], ":"):
		return errors.New("a password in RepositoryUrl " + advice)
	}
	return nil
}
