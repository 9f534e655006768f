package pipeline

import (
	"fmt"
	"regexp"
)

// The limits of an approval rule.
const (
	maxRuleElements  = 100
	maxRulePattern   = 255
	maxPrincipal     = 200
	maxApprovalCount = 100
)

// ValidateApprovalRule checks who must agree and to what: patterns over the names
// of pipelines, stages and actions, the names of users and groups, and how many
// people are needed at least. It returns a *ValidationError, with paths as in an
// approval rule of the contract, or nil. Values may be unknown, see Unknown and
// UnknownInt. What it refuses could never match or never be met.
func ValidateApprovalRule(pipelines, stages, actions, users, groups []string, minimumCount int) error {
	c := &checker{}
	selector := Path(nil).Field("selector")
	if len(pipelines) == 0 {
		c.refuse(selector.Field("pipelines"), "no pipeline is named; name at least one, or * for all")
	}
	c.patterns(selector, "pipelines", pipelines)
	c.patterns(selector, "stages", stages)
	c.patterns(selector, "actions", actions)
	c.principals("users", users)
	c.principals("groups", groups)
	c.approvals(users, groups, minimumCount)
	return c.err()
}

func (c *checker) patterns(selector Path, field string, patterns []string) {
	known, complete := knownStrings(patterns)
	c.count(selector.Field(field), "patterns", known, complete, 0, maxRuleElements)
	for i, pattern := range patterns {
		if pattern == Unknown {
			continue
		}
		err := checkText("the pattern", pattern, 1, maxRulePattern)
		if err == nil {
			err = checkNameGlob(pattern)
		}
		c.check(selector.At(field, i), err)
	}
}

func (c *checker) principals(field string, names []string) {
	known, complete := knownStrings(names)
	c.count(Path(nil).Field(field), field, known, complete, 0, maxRuleElements)
	for i, name := range names {
		if name != Unknown {
			c.check(Path(nil).At(field, i), checkPrincipal(name))
		}
	}
}

// principalName is also in the contract, which checks tokens by it.
var principalName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._@+:/ -]*[A-Za-z0-9])?$`)

func checkPrincipal(name string) error {
	if err := checkText("the name", name, 1, maxPrincipal); err != nil {
		return err
	}
	if !principalName.MatchString(name) {
		return fmt.Errorf("%q is not a valid name: use 1 to %d of A-Z a-z 0-9 . _ @ + : / - and space, and begin and end with a letter or a digit",
			name, maxPrincipal)
	}
	return nil
}

func (c *checker) approvals(users, groups []string, minimumCount int) {
	path := Path(nil).Field("minimum_count")
	if minimumCount == UnknownInt {
		return
	}
	if minimumCount < 1 || minimumCount > maxApprovalCount {
		c.refuse(path, "minimum_count is %d; use 1 to %d", minimumCount, maxApprovalCount)
		return
	}
	// Who is in a group is not known here, so only users alone can be counted.
	if _, complete := knownStrings(users); !complete || len(users) == 0 || len(groups) > 0 {
		return
	}
	people := make(map[string]bool, len(users))
	for _, user := range users {
		people[user] = true
	}
	if minimumCount > len(people) {
		c.refuse(path, "%d people have to agree but only %d may, so the rule could never be met; name more users, or lower it",
			minimumCount, len(people))
	}
}
