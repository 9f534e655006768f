package pipeline

import (
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/shell"
)

// WarningIncompleteCommand is the reason of a warning about a command that is not complete
// by itself.
const WarningIncompleteCommand Reason = "INCOMPLETE_COMMAND"

// incompleteCommands returns a warning for each action and rule of a stage that has a
// command which is not complete by itself.
func incompleteCommands(def *Definition, path Path, stage *Stage) []Warning {
	var warnings []Warning
	for i := range stage.Actions {
		warnings = append(warnings, incompleteCommand(def, path.At("actions", i), stage.Actions[i].Commands)...)
	}
	for _, c := range conditionsAt(stage, path) {
		for i := range c.Rules {
			warnings = append(warnings, incompleteCommand(def, c.path.At("rules", i), c.Rules[i].Commands)...)
		}
	}
	return warnings
}

// incompleteCommand returns a warning for the first command that is not complete by itself:
// those after it are mostly its rest.
func incompleteCommand(def *Definition, path Path, commands []string) []Warning {
	for i, command := range commands {
		missing := shell.Incomplete(command)
		if command == Unknown || missing == "" {
			continue
		}
		at := path.At("commands", i)
		return []Warning{{
			Path:    at,
			Reason:  WarningIncompleteCommand,
			Summary: fmt.Sprintf("Command of %s is not complete by itself", Locate(def, path)),
			Message: fmt.Sprintf("%s: %q is not complete by itself (%s), and the shell reads each command on its own; "+
				"write it on one line, for example if a; then b; fi, or in a script in the repository", Locate(def, at), command, missing),
		}}
	}
	return nil
}
