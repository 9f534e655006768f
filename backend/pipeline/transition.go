package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// MaxTransitionReason is CodePipeline's limit, in characters.
const MaxTransitionReason = 300

// CheckTransitionReason says what is wrong with the reason of a transition that is
// enabled or disabled, or nothing. Everybody whose execution waits reads it.
func CheckTransitionReason(enabled bool, reason string) error {
	switch {
	case enabled && reason != "":
		return errors.New("a transition that is enabled has no reason; leave it out")
	case !enabled && strings.TrimSpace(reason) == "":
		return errors.New("say why the transition is disabled: others will ask")
	case utf8.RuneCountInString(reason) > MaxTransitionReason:
		return fmt.Errorf("the reason is too long; use at most %d characters", MaxTransitionReason)
	}
	return CheckLine("the reason", reason)
}
