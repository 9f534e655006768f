package expression

import (
	"fmt"
	"regexp"
	"strings"
)

var (
	undeclaredPattern = regexp.MustCompile(`^undeclared reference to '([^']*)'`)
	overloadPattern   = regexp.MustCompile(`^found no matching overload for '([^']*)' applied to '([^']*)'`)
)

// names are what a condition sees, for errors.
const names = "variables, outputs, revisions, trigger, execution and now"

// inWords rewrites the messages of CEL that are frequent and that nobody
// understands who does not know how CEL works.
func inWords(message, known string) string {
	if match := undeclaredPattern.FindStringSubmatch(message); match != nil {
		name := match[1]
		switch {
		case known != names:
			// Other expressions have neither of the two.
		case name == "trigger":
			return "trigger has type, detail and principal; use one of them, for example trigger.type"
		case name == "execution":
			return "execution has id, number, version, attempt, type, mode and stage; use one of them, for example execution.number"
		}
		if strings.HasPrefix(name, "_") || strings.HasPrefix(name, "@") {
			return message
		}
		return fmt.Sprintf("there is no %q; an expression knows %s, and texts stand in quotes", name, known)
	}
	if match := overloadPattern.FindStringSubmatch(message); match != nil {
		operator := strings.ReplaceAll(strings.Trim(match[1], "_@"), "_", " ")
		return fmt.Sprintf("%s does not go with %s; convert one side, as in int(variables.count) or string(execution.number)", operator, match[2])
	}
	if rest, ok := strings.CutPrefix(message, "Syntax error: "); ok {
		return "this is not an expression: " + rest
	}
	return message
}
