package approvalrule

import (
	"context"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	domain "github.com/headrace/terraform-provider-headrace/backend/pipeline"
	"github.com/headrace/terraform-provider-headrace/internal/provider/session"
)

// planWarnings shows what the server would warn of, and which values it would refuse. A
// server that does not answer, or refuses for another reason, says nothing here: the apply
// will say it.
func (r *Resource) planWarnings(
	ctx context.Context, request resource.ModifyPlanRequest, response *resource.ModifyPlanResponse, unchanged bool,
) {
	if response.Diagnostics.HasError() {
		return
	}
	var planned model
	response.Diagnostics.Append(response.Plan.Get(ctx, &planned)...)
	if response.Diagnostics.HasError() || planned.Account.IsUnknown() {
		return
	}
	r.note(ctx, request, planned)
	if !request.Config.Raw.IsFullyKnown() || r.session.Applying() {
		// The write of the rule will show its warnings.
		return
	}
	create := request.State.Raw.IsNull() || len(response.RequiresReplace) > 0
	changed := create || !unchanged
	var rule *headracev1.ApprovalRule
	asked, err := r.session.Ask(ctx, func(ctx context.Context, backend *client.Client) error {
		var err error
		rule, err = dryRun(ctx, backend, planned, create, changed)
		return err
	})
	switch {
	case !asked:
	case err == nil:
		r.warn(ctx, &response.Diagnostics, planned, rule, runState{changed: changed})
	case status.Code(err) == codes.InvalidArgument && len(client.Violations(err)) > 0:
		doing := "update"
		if create {
			doing = "create"
		}
		reporter(planned).Add(&response.Diagnostics, doing, err)
	}
}

// note tells pipelines of the same run what the rule will match.
func (r *Resource) note(ctx context.Context, request resource.ModifyPlanRequest, planned model) {
	after := planned.message().GetSelector()
	if slices.Contains(slices.Concat(after.GetPipelines(), after.GetStages(), after.GetActions()), domain.Unknown) {
		after = nil
	}
	rule := session.Rule{After: after}
	var before model
	if !request.State.Raw.IsNull() && !request.State.Get(ctx, &before).HasError() {
		if before.resourceName() == planned.resourceName() {
			rule.Before = before.message().GetSelector()
		} else {
			r.noteDelete(before)
		}
	}
	r.session.NoteRule(planned.resourceName(), rule)
}

// noteDelete tells pipelines of the same run that the rule will be gone.
func (r *Resource) noteDelete(state model) {
	r.session.NoteRule(state.resourceName(), session.Rule{Before: state.message().GetSelector()})
}

// dryRun returns the rule as an apply would store it, with what it would guard.
func dryRun(ctx context.Context, backend *client.Client, planned model, create, changed bool) (*headracev1.ApprovalRule, error) {
	switch {
	case create:
		answer, err := backend.ApprovalRules.CreateApprovalRule(ctx, &headracev1.CreateApprovalRuleRequest{
			ApprovalRule: planned.message(), ValidateOnly: true,
		})
		return answer.GetApprovalRule(), err
	case changed:
		answer, err := backend.ApprovalRules.UpdateApprovalRule(ctx, &headracev1.UpdateApprovalRuleRequest{
			ApprovalRule: planned.message(), ValidateOnly: true,
		})
		return answer.GetApprovalRule(), err
	}
	// Anyone who may read the rule may plan it unchanged.
	answer, err := backend.ApprovalRules.GetApprovalRule(ctx, &headracev1.GetApprovalRuleRequest{Name: planned.resourceName()})
	return answer.GetApprovalRule(), err
}

// runState is how far a run of Terraform is with a rule: it creates or changes it, and has
// applied that.
type runState struct{ changed, applied bool }

// warn shows the warnings of a rule that hold whatever else the same run creates.
func (r *Resource) warn(ctx context.Context, diags *diag.Diagnostics, m model, rule *headracev1.ApprovalRule, run runState) {
	account := client.Segment(rule.GetName(), "accounts")
	pipelines := rule.GetSelector().GetPipelines()
	remaining := func() []*headracev1.Warning {
		return settled(rule, r.session.Planned(account), r.session.Written(account), run)
	}
	decided := r.session.Await(ctx, account+": "+strings.Join(pipelines, " "), func() bool {
		inline := r.session.Inline(account)
		all := !slices.ContainsFunc(pipelines, func(name string) bool { return !slices.Contains(inline, name) })
		return all || !slices.ContainsFunc(remaining(), func(w *headracev1.Warning) bool { return about(w, "") })
	})
	inline := r.session.Inline(account)
	warnings := slices.DeleteFunc(remaining(), func(w *headracev1.Warning) bool {
		// What a rule that was just written misses in pipelines that this run does not write was
		// in the plan.
		alone := run.applied && !slices.ContainsFunc(inline, func(name string) bool { return matches(pipelines, name) })
		return about(w, "") && (!decided || alone)
	})
	reporter(m).Warn(diags, warnings, r.session.Tell)
}

// about tells whether a warning is about a field of the selector.
func about(w *headracev1.Warning, field string) bool {
	return strings.HasPrefix(w.GetField(), "approval_rule.selector."+field)
}

// maxWarnings are as many warnings as the server returns for one rule; of more it says how
// many.
const maxWarnings = 20

// settled returns the warnings of a rule without those that the rest of the run may make
// untrue. Planned are parts that it plans, written the composed pipelines whose parts are
// being written.
func settled(rule *headracev1.ApprovalRule, planned []session.Part, written []string, run runState) []*headracev1.Warning {
	selector := rule.GetSelector()
	missing := func(w *headracev1.Warning) bool {
		return about(w, "pipelines[") && domain.Reason(w.GetReason()) == domain.ReasonSelectorMatchesNothing
	}
	unmatched := 0
	for _, w := range rule.GetWarnings() {
		if missing(w) {
			unmatched++
		}
	}
	unfinished := slices.ContainsFunc(written, func(name string) bool { return matches(selector.GetPipelines(), name) })
	kept := slices.DeleteFunc(slices.Clone(rule.GetWarnings()), func(w *headracev1.Warning) bool {
		switch {
		case !about(w, ""):
			return false
		case unfinished:
			return true
		case missing(w) && (run.applied || run.changed && unmatched == min(len(selector.GetPipelines()), maxWarnings)):
			// Its pipeline may be created by the same apply. A rule that an earlier run applied
			// should have one.
			return true
		}
		return slices.ContainsFunc(planned, func(part session.Part) bool { return fulfils(selector, w, part) })
	})
	if !slices.ContainsFunc(kept, func(w *headracev1.Warning) bool { return w.GetReason() != "" }) {
		return nil // How many more there are means nothing alone.
	}
	return kept
}

// fulfils tells whether a planned part is what an entry of a rule looks for.
func fulfils(selector *headracev1.ApprovalSelector, w *headracev1.Warning, part session.Part) bool {
	fields, err := domain.ParsePath(strings.TrimPrefix(w.GetField(), "approval_rule.selector."))
	if err != nil || len(fields) != 1 {
		return false
	}
	name, entries := "", []string(nil)
	switch fields[0].Field {
	case "pipelines":
		return entryMatches(selector.GetPipelines(), fields[0].Index, part.Pipeline) &&
			(domain.Reason(w.GetReason()) != domain.ReasonSelectorGuardsNothing || session.Guards(selector, part))
	case "stages":
		name, entries = part.Stage, selector.GetStages()
	case "actions":
		name, entries = part.Action, selector.GetActions()
	}
	if name == domain.Unknown {
		return matches(selector.GetPipelines(), part.Pipeline)
	}
	return name != "" && matches(selector.GetPipelines(), part.Pipeline) && entryMatches(entries, fields[0].Index, name)
}

func entryMatches(entries []string, index int, name string) bool {
	return index >= 0 && index < len(entries) && domain.MatchGlob(entries[index], name)
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool { return domain.MatchGlob(pattern, name) })
}
