package crashtest

import (
	"fmt"
	"os"
	"strings"

	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

// noted is how far each attempt of a command came, by what it wrote down itself; keys
// are the id of the action execution and the attempt.
type noted map[string]string

func attemptKey(id string, attempt int32) string { return fmt.Sprintf("%s %d", id, attempt) }

// readRecord reads what the commands wrote, and refuses an attempt that ran twice.
func readRecord(path string) (noted, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseRecord(string(data))
}

func parseRecord(text string) (noted, error) {
	n := make(noted)
	for line := range strings.Lines(text) {
		// Execution, action, its id, attempt and how far it came.
		fields := strings.Fields(line)
		if len(fields) != 5 {
			return nil, fmt.Errorf("the record holds %q", line)
		}
		key := fields[2] + " " + fields[3]
		before := n[key]
		if (fields[4] == "begins" && before != "") || (fields[4] == "ends" && before != "begins") {
			return nil, fmt.Errorf("attempt %s of action %s ran twice: it %s after it %s", key, fields[1], fields[4], before)
		}
		n[key] = fields[4]
	}
	return n, nil
}

// check compares what the commands of an execution wrote with its history: what
// succeeded ran to its end, what failed by itself did not, and nothing ran that was not
// started. What was accounted for is taken out.
func (n noted) check(h *history) error {
	for _, stage := range h.stages {
		for i, a := range stage.actions {
			if !commands(stage.declared, a.name) {
				continue
			}
			got := n[attemptKey(a.id, a.attempt)]
			if (a.status == "SUCCEEDED" && got != "ends") || (a.code == "JobFailed" && got != "begins") {
				return fmt.Errorf("action %s (%d of the stage) is %s %s in attempt %d, and its command noted %q", a.name, i+1, a.status, a.code, a.attempt, got)
			}
			for attempt := range a.attempt {
				delete(n, attemptKey(a.id, attempt+1))
			}
		}
	}
	return nil
}

// commands tells whether an action runs commands.
func commands(stage *headracev1.Stage, action string) bool {
	for _, a := range stage.GetActions() {
		if a.GetName() == action {
			return a.GetProvider() == "Commands"
		}
	}
	return false
}
