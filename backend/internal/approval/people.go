package approval

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// People are the principals of tokens that may approve in an account.
type People struct {
	// Groups holds the groups of each principal.
	Groups map[string][]string
	// Hidden keeps them out of messages: who has tokens is for admins.
	Hidden bool
}

// users returns the names of people in order.
func (p People) users() []string { return slices.Sorted(maps.Keys(p.Groups)) }

// groups returns the groups of people in order.
func (p People) groups() []string {
	var all names
	for _, groups := range p.Groups {
		all.add(groups...)
	}
	slices.Sort(all.all)
	return all.all
}

// With returns people with others who approved already, whether they may still do that or
// not.
func (p People) With(decided []execution.ApprovalDecision) People {
	all := People{Groups: make(map[string][]string), Hidden: p.Hidden}
	maps.Copy(all.Groups, p.Groups)
	for i := range decided {
		if v := &decided[i]; v.Approved {
			all.Groups[v.Principal] = slices.Concat(all.Groups[v.Principal], v.Groups)
		}
	}
	return all
}

// able returns who of the people can meet a requirement.
func (p People) able(r *execution.Requirement) []string {
	var users, groups names
	users.add(r.Users...)
	groups.add(r.Groups...)
	return slices.DeleteFunc(p.users(), func(name string) bool {
		return len(r.Users)+len(r.Groups) > 0 && !users.have[name] &&
			!slices.ContainsFunc(p.Groups[name], func(group string) bool { return groups.have[group] })
	})
}

// TooFew says why a requirement cannot be met in an account, since too few people may
// approve, and nothing if it can. Who started an execution counts, as another person may
// start the next.
func TooFew(r *execution.Requirement, account string, people People) string {
	able := people.able(r)
	if len(able) >= r.MinimumCount {
		return ""
	}
	other := ""
	if len(able) > 0 {
		other = "other "
	}
	token := "no " + other + "token"
	var of []string
	if len(r.Users) > 0 {
		of = append(of, named("user", r.Users))
	}
	if len(r.Groups) > 0 {
		of = append(of, named("group", r.Groups))
	}
	if len(of) > 0 {
		token += " of " + strings.Join(of, " or ")
	}
	has := token + " has the role approver or admin in account " + account
	if len(able) == 0 {
		return "nobody can approve; " + has
	}
	return fmt.Sprintf("%d must approve, but only %s can; %s", r.MinimumCount, whom(able, people.Hidden), has)
}

// whom names people, or counts them if who they are is not for the reader.
func whom(names []string, hidden bool) string {
	switch last := len(names) - 1; {
	case hidden && last == 0:
		return "1 person"
	case hidden:
		return fmt.Sprintf("%d people", len(names))
	case last == 0:
		return names[0]
	default:
		return strings.Join(names[:last], ", ") + " and " + names[last]
	}
}
