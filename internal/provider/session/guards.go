package session

import (
	"context"
	"slices"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Alone says what becomes of a warning about a rule that the run does not plan.
type Alone bool

const (
	// KeepAlone waits for the rule, and keeps the warning if none comes.
	KeepAlone Alone = true
	// DropAlone drops it, since the plan has shown it.
	DropAlone Alone = false
)

// StillTrue returns the warnings of a write of a pipeline without those about approval rules
// and secrets that the same run changes so that they are not true after it.
func (s *Session) StillTrue(ctx context.Context, account string, warnings []*headracev1.Warning, alone Alone) []*headracev1.Warning {
	return slices.DeleteFunc(slices.Clone(warnings), func(w *headracev1.Warning) bool {
		if w.GetSecret() != "" {
			return s.followsSecret(ctx, client.SecretName(account, w.GetSecret()), alone)
		}
		if w.GetSelectorEntry() == "" && w.GetStage() == "" {
			return false
		}
		name := client.ApprovalRuleName(account, w.GetApprovalRule())
		if alone == KeepAlone {
			s.Await(ctx, name, func() bool {
				_, planned := s.Rule(name)
				return planned
			})
		}
		rule, planned := s.Rule(name)
		switch {
		case !planned:
			return alone == DropAlone
		case rule.After == nil:
			return true
		case w.GetSelectorEntry() != "":
			return !rule.has(w.GetSelectorEntry())
		}
		return rule.follows(Part{Pipeline: w.GetPipeline(), Stage: w.GetStage(), Action: w.GetAction()}, s.Planned(account))
	})
}

// followsSecret tells whether the run creates a secret that is missing.
func (s *Session) followsSecret(ctx context.Context, name string, alone Alone) bool {
	if alone == KeepAlone {
		s.Await(ctx, name, func() bool { return s.secret(name) })
	}
	return alone == DropAlone || s.secret(name)
}

// has tells whether the rule still has an entry when the run is done.
func (r Rule) has(entry string) bool {
	return slices.Contains(slices.Concat(r.After.GetPipelines(), r.After.GetStages(), r.After.GetActions()), entry)
}

// follows tells whether the run changes the rule along with a part that it loses: the rule
// does not match the part any more, or guards another part of the pipeline that it did not.
func (r Rule) follows(lost Part, planned []Part) bool {
	return !Guards(r.After, lost) || slices.ContainsFunc(planned, func(part Part) bool {
		return part.Pipeline == lost.Pipeline && Guards(r.After, part) && !Guards(r.Before, part)
	})
}

// Guards tells whether a rule guards a part.
func Guards(selector *headracev1.ApprovalSelector, part Part) bool {
	stages, actions := selector.GetStages(), selector.GetActions()
	switch {
	case part.Stage == "" || !matches(selector.GetPipelines(), part.Pipeline):
		return false
	case len(stages) > 0 && !matches(stages, part.Stage):
		return false
	case len(stages) > 0 && len(actions) == 0:
		return true
	}
	return part.Action != "" && (len(actions) == 0 || matches(actions, part.Action))
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return domain.MatchGlob(pattern, name) })
}
