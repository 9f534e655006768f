package service

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// maxSteps bounds the work of a call that reports on rules, to a fraction of a second.
const maxSteps = 40_000_000

// maxOutlines bounds the pipelines whose outlines are kept in memory.
const maxOutlines = 1 << 14

// Reports computes what approval rules guard in the pipelines of their account, for all use
// cases of a server, which share its slots. It keeps the outlines of declared pipelines:
// decoding the definitions of a thousand pipelines takes longer than a page of rules may.
type Reports struct {
	store store.Store
	clock func() time.Time
	// slots bound the reports that are computed at once, as those of searches of logs. Any
	// number of calls may wait: they hold no connection, and Terraform reads many rules
	// at once.
	slots *fairSlots
	// inspect is approval.InspectAll.
	inspect func([]approval.Rule, []approval.Outline, approval.People, *approval.Steps) []approval.Report

	mu       sync.Mutex
	outlines map[outlineKey]approval.Outline
}

// outlineKey changes with every write of a pipeline.
type outlineKey struct {
	id        string
	revision  int64
	updatedAt int64
}

func keyOf(p *definition.Pipeline) outlineKey {
	return outlineKey{p.ID, p.Revision, p.UpdatedAt.UnixMicro()}
}

// NewReports returns the reports on the approval rules in a store.
func NewReports(s store.Store, clock func() time.Time) *Reports {
	slots := newFairSlots("reports")
	slots.unbounded = true
	return &Reports{store: s, clock: clock, slots: slots, inspect: approval.InspectAll, outlines: make(map[outlineKey]approval.Outline)}
}

// reports returns the reports of rules of one account, in their order.
func (x *Reports) reports(ctx context.Context, who auth.Identity, account string, rules []approval.Rule) ([]approval.Report, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	end, err := x.slots.begin(ctx, nil, account, who.Principal)
	if err != nil {
		return nil, err
	}
	defer end()
	var outlines []approval.Outline
	var people approval.People
	err = x.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if outlines, err = x.read(ctx, r, account, nil); err != nil {
			return err
		}
		people, err = approvers(ctx, r, who, account, x.clock())
		return err
	})
	if err != nil {
		return nil, err
	}
	// The database has few readers, none of which may wait for this.
	return x.inspect(rules, outlines, people, stepsUntil(ctx)), ctx.Err()
}

// stepsUntil returns the steps of a call, which end with it.
func stepsUntil(ctx context.Context) *approval.Steps {
	return approval.NewSteps(maxSteps, func() bool { return ctx.Err() != nil })
}

// read returns the outlines of an account's pipelines by name. Written is a pipeline as a
// write leaves it that may not be stored; nil for none.
func (x *Reports) read(ctx context.Context, r store.Reader, account string, written *definition.Pipeline) ([]approval.Outline, error) {
	heads, err := r.PipelineHeads(ctx, account)
	if err != nil {
		return nil, err
	}
	outlines := make([]approval.Outline, len(heads), len(heads)+1)
	missing := x.known(heads, outlines)
	if len(missing) > 0 {
		if err := x.decode(ctx, r, account, heads, outlines, missing); err != nil {
			return nil, err
		}
	}
	if written == nil {
		return outlines, nil
	}
	at, found := slices.BinarySearchFunc(outlines, written.Name, func(o approval.Outline, name string) int { return strings.Compare(o.Pipeline, name) })
	outline := approval.OutlineOf(written.Name, written.Declared())
	if found {
		outlines[at] = outline
		return outlines, nil
	}
	return slices.Insert(outlines, at, outline), nil
}

// known fills in the outlines that are in memory and returns the places of the others.
func (x *Reports) known(heads []definition.Pipeline, outlines []approval.Outline) (missing []int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range heads {
		outline, ok := x.outlines[keyOf(&heads[i])]
		if !ok {
			missing = append(missing, i)
		}
		outlines[i] = outline
	}
	return missing
}

// fewPipelines are read one by one; of more all are.
const fewPipelines = 10

// decode reads the definitions of pipelines that are not in memory.
func (x *Reports) decode(ctx context.Context, r store.DefinitionReader, account string, heads []definition.Pipeline, outlines []approval.Outline, missing []int) error {
	declared := make(map[string]*definition.Pipeline, len(missing))
	if len(missing) > fewPipelines {
		all, err := r.Pipelines(ctx, account, store.Page{})
		if err != nil {
			return err
		}
		for i := range all {
			declared[all[i].Name] = &all[i]
		}
	}
	keys := make(map[int]outlineKey, len(missing))
	for _, i := range missing {
		p := declared[heads[i].Name]
		if p == nil {
			one, err := r.Pipeline(ctx, account, heads[i].Name)
			if err != nil {
				return err
			}
			p = &one
		}
		outlines[i], keys[i] = approval.OutlineOf(p.Name, p.Declared()), keyOf(p)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.outlines)+len(missing) > maxOutlines {
		clear(x.outlines)
	}
	for i, key := range keys {
		x.outlines[key] = outlines[i]
	}
	return nil
}

// skipWarnings warns the author of a rule of what automatic rollbacks skip in the stages
// that it guards.
func (v *RuleView) skipWarnings() {
	var warnings []Warning
	for _, skip := range v.skips {
		warnings = append(warnings, skipWarning(skip.Skip, skip.Pipeline))
	}
	v.Warnings = append(v.Warnings, bounded(warnings)...)
	if more := v.skipCount - len(v.skips); more > 0 {
		v.Warnings = append(v.Warnings, Warning{Message: fmt.Sprintf("and %d more", more)})
	}
}

// requestWarnings returns the warnings of a report, with paths that start at the request.
func requestWarnings(report *approval.Report) []Warning {
	warnings := make([]Warning, len(report.Warnings))
	for i, w := range report.Warnings {
		path := append(requestPath("approval_rule"), w.Path...)
		warnings[i] = Warning{Path: path, Reason: w.Reason, Message: w.Message}
	}
	return warnings
}

// ofPipeline returns the warnings about rules that match a pipeline whose other entries
// match nothing, now that it is as written, and about its manual actions that lack a rule.
// The write itself succeeded, so that nothing is said if they cannot be read.
func (x *Reports) ofPipeline(ctx context.Context, who auth.Identity, written *definition.Pipeline) []Warning {
	end, err := x.slots.begin(ctx, nil, written.Account, who.Principal)
	if err != nil {
		return nil
	}
	defer end()
	var all []approval.Rule
	var account auth.Account
	err = x.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if all, err = r.ApprovalRules(ctx, written.Account, store.Page{}); err != nil {
			return err
		}
		account, err = r.Account(ctx, written.Account)
		return err
	})
	if err != nil {
		return nil
	}
	steps := stepsUntil(ctx)
	alone := []approval.Outline{approval.OutlineOf(written.Name, written.Declared())}
	missing := missingRules(&account, all, alone, steps)
	rules := slices.DeleteFunc(all, func(rule approval.Rule) bool { return !approval.MayWarnOf(&rule, &alone[0], steps) })
	var outlines []approval.Outline
	if len(rules) > 0 {
		err = x.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
			outlines, err = x.read(ctx, r, written.Account, written)
			return err
		})
	}
	if err != nil {
		return nil
	}
	var warnings []Warning
	for i, report := range approval.InspectAllFor(written.Name, rules, outlines, steps) {
		for _, w := range report.Warnings {
			// It is about no field of the pipeline.
			warnings = append(warnings, Warning{Reason: w.Reason, Message: w.Message, Rule: rules[i].Name, Entry: w.Entry})
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return bounded(append(warnings, missing...))
}

// ofAccount returns the warnings about manual actions that lack a rule in the pipelines of
// an account, for those who may read these. The account itself was read or written, so that
// nothing is said if they cannot be read.
func (x *Reports) ofAccount(ctx context.Context, who auth.Identity, account *auth.Account) []Warning {
	if !account.RequireApprovalRule || !who.May(auth.Read, account.Name) {
		return nil
	}
	end, err := x.slots.begin(ctx, nil, account.Name, who.Principal)
	if err != nil {
		return nil
	}
	defer end()
	var rules []approval.Rule
	var outlines []approval.Outline
	err = x.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if rules, err = r.ApprovalRules(ctx, account.Name, store.Page{}); err != nil {
			return err
		}
		outlines, err = x.read(ctx, r, account.Name, nil)
		return err
	})
	if err != nil {
		return nil
	}
	warnings := missingRules(account, rules, outlines, stepsUntil(ctx))
	if ctx.Err() != nil {
		return nil
	}
	return bounded(warnings)
}

// missingRules warns of manual actions that fail because the account requires a rule and
// none matches them.
func missingRules(account *auth.Account, rules []approval.Rule, outlines []approval.Outline, steps *approval.Steps) []Warning {
	if !account.RequireApprovalRule {
		return nil
	}
	var warnings []Warning
	parts, complete := approval.Missing(rules, outlines, steps)
	if !complete {
		warnings = append(warnings, Warning{Reason: pipeline.ReasonReportIncomplete, Message: fmt.Sprintf(
			"not all manual approval actions of account %s could be checked for a rule: matching the patterns of its rules takes too long; "+
				"use fewer patterns, or names instead", account.Name)})
	}
	for _, part := range parts {
		warnings = append(warnings, Warning{Reason: pipeline.ReasonApprovalRuleMissing, Message: fmt.Sprintf(
			"%s of pipeline %s fails without an approval rule; account %s requires one, and none matches the action: create a rule",
			part.Part, part.Pipeline, account.Name)})
	}
	return warnings
}
