package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// Warning says that a write is accepted but does less than its author may expect.
type Warning struct {
	// Path is the field of the request that it is about; empty for the whole request.
	Path    pipeline.Path
	Reason  pipeline.Reason
	Message string
}

// definitionWarnings returns what may surprise in a definition that stands at a path of the
// request. Terraform alone sees an empty on_rollback block, which says that a rollback may
// wait.
func definitionWarnings(def *pipeline.Definition, outer pipeline.Path, now time.Time) []Warning {
	var warnings []Warning
	for _, w := range pipeline.WarningsAt(def, now) {
		if w.Reason == pipeline.WarningRollbackWaits {
			continue
		}
		path := slices.Concat(outer, w.Path)
		warnings = append(warnings, Warning{Path: path, Reason: w.Reason, Message: w.Message})
	}
	return warnings
}

// maxOutlines bounds the pipelines whose outlines are kept in memory.
const maxOutlines = 1 << 14

// reporter reports what approval rules guard in the pipelines of their account. It keeps
// the outlines of declared pipelines: to decode the definitions of a thousand pipelines
// takes longer than a page of rules may.
type reporter struct {
	store store.Store
	clock func() time.Time

	mu       sync.Mutex
	outlines map[outlineKey]approval.Outline
}

// outlineKey changes with every write of a pipeline.
type outlineKey struct {
	id        string
	revision  int64
	updatedAt int64
}

func keyOf(p *store.Pipeline) outlineKey {
	return outlineKey{p.ID, p.Revision, p.UpdatedAt.UnixMicro()}
}

func newReporter(s store.Store, clock func() time.Time) *reporter {
	return &reporter{store: s, clock: clock, outlines: make(map[outlineKey]approval.Outline)}
}

// reports returns the reports of rules of one account, in their order. Written is a
// pipeline as a write leaves it that may not be stored; nil for none.
func (x *reporter) reports(
	ctx context.Context, who auth.Identity, account string, rules []store.ApprovalRule, written *store.Pipeline,
) ([]approval.Report, error) {
	if len(rules) == 0 {
		return nil, nil
	}
	var reports []approval.Report
	err := x.store.View(ctx, func(ctx context.Context, r store.Reader) error {
		outlines, err := x.read(ctx, r, account, written)
		if err != nil {
			return err
		}
		people, err := approvers(ctx, r, who, account, x.clock())
		if err != nil {
			return err
		}
		reports = make([]approval.Report, len(rules))
		for i := range rules {
			reports[i] = approval.Inspect(&rules[i], outlines, people)
		}
		return nil
	})
	return reports, err
}

// read returns the outlines of an account's pipelines by name.
func (x *reporter) read(ctx context.Context, r store.Reader, account string, written *store.Pipeline) ([]approval.Outline, error) {
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
	outline := approval.OutlineOf(written.Name, assembled(written))
	if found {
		outlines[at] = outline
		return outlines, nil
	}
	return slices.Insert(outlines, at, outline), nil
}

// known fills in the outlines that are in memory and returns the places of the others.
func (x *reporter) known(heads []store.Pipeline, outlines []approval.Outline) (missing []int) {
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
func (x *reporter) decode(ctx context.Context, r store.Reader, account string, heads []store.Pipeline, outlines []approval.Outline, missing []int) error {
	declared := make(map[string]*store.Pipeline, len(missing))
	if len(missing) > fewPipelines {
		all, err := r.Pipelines(ctx, account, store.Page{})
		if err != nil {
			return err
		}
		for i := range all {
			declared[all[i].Name] = &all[i]
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if len(x.outlines)+len(missing) > maxOutlines {
		clear(x.outlines)
	}
	for _, i := range missing {
		p := declared[heads[i].Name]
		if p == nil {
			one, err := r.Pipeline(ctx, account, heads[i].Name)
			if err != nil {
				return err
			}
			p = &one
		}
		outlines[i] = approval.OutlineOf(p.Name, assembled(p))
		x.outlines[keyOf(p)] = outlines[i]
	}
	return nil
}

// approvers returns who may approve in an account now. Who they are is shown to admins
// only.
func approvers(ctx context.Context, r store.Reader, who auth.Identity, account string, now time.Time) (approval.People, error) {
	people := approval.People{Groups: make(map[string][]string), Hidden: !who.May(auth.Administer, account)}
	tokens, err := r.Tokens(ctx, store.Page{})
	if err != nil {
		return people, err
	}
	for i := range tokens {
		token := &tokens[i]
		if identityOf(token).May(auth.Approve, account) && !expired(token, now) {
			people.Groups[token.Principal] = slices.Concat(people.Groups[token.Principal], token.Groups)
		}
	}
	return people, nil
}

// skipWarnings warns the author of a rule of what automatic rollbacks skip in the stages
// that it guards.
func (v *RuleView) skipWarnings() {
	var warnings []Warning
	for _, skip := range v.skips {
		warnings = append(warnings, skipWarning(skip.Skip, skip.Pipeline))
	}
	v.Warnings = append(v.Warnings, bounded(warnings)...)
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
func (x *reporter) ofPipeline(ctx context.Context, who auth.Identity, written *store.Pipeline) []Warning {
	var all []store.ApprovalRule
	var missing []Warning
	err := x.store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if all, err = r.ApprovalRules(ctx, written.Account, store.Page{}); err != nil {
			return err
		}
		account, err := r.Account(ctx, written.Account)
		missing = missingRules(&account, all, approval.OutlineOf(written.Name, assembled(written)))
		return err
	})
	rules := slices.DeleteFunc(all, func(rule store.ApprovalRule) bool { return !approval.Concerns(&rule, written.Name) })
	reports, failed := x.reports(ctx, who, written.Account, rules, written)
	if errors.Join(err, failed) != nil {
		return nil
	}
	var warnings []Warning
	for i := range reports {
		for _, w := range reports[i].Warnings {
			if w.Reason.AboutSelector() && approval.About(&rules[i], w, written.Name) {
				// It is about no field of the pipeline.
				warnings = append(warnings, Warning{Reason: w.Reason, Message: w.Message})
			}
		}
	}
	return bounded(append(warnings, missing...))
}

// ofAccount returns the warnings about manual actions that lack a rule in the pipelines of
// an account, for those who may read these. The account itself was read or written, so that
// nothing is said if they cannot be read.
func (x *reporter) ofAccount(ctx context.Context, who auth.Identity, account *store.Account) []Warning {
	if !account.RequireApprovalRule || !who.May(auth.Read, account.Name) {
		return nil
	}
	var warnings []Warning
	err := x.store.View(ctx, func(ctx context.Context, r store.Reader) error {
		rules, err := r.ApprovalRules(ctx, account.Name, store.Page{})
		if err != nil {
			return err
		}
		outlines, err := x.read(ctx, r, account.Name, nil)
		warnings = missingRules(account, rules, outlines...)
		return err
	})
	if err != nil {
		return nil
	}
	return bounded(warnings)
}

// missingRules warns of manual actions that fail because the account requires a rule and
// none matches them.
func missingRules(account *store.Account, rules []store.ApprovalRule, outlines ...approval.Outline) []Warning {
	if !account.RequireApprovalRule {
		return nil
	}
	var warnings []Warning
	for _, part := range approval.Missing(rules, outlines) {
		warnings = append(warnings, Warning{Reason: pipeline.ReasonApprovalRuleMissing, Message: fmt.Sprintf(
			"%s of pipeline %s fails without an approval rule; account %s requires one, and none matches the action: create a rule",
			part.Part, part.Pipeline, account.Name)})
	}
	return warnings
}
