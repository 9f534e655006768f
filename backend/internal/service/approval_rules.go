package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// ApprovalRulesConfig is what ApprovalRules needs.
type ApprovalRulesConfig struct {
	Store   store.Store
	Reports *Reports
	Clock   func() time.Time
}

// ApprovalRules keeps the rules that say who must agree. Writing them is for
// admins: who deploys must not choose who has to agree.
type ApprovalRules struct {
	config ApprovalRulesConfig
}

// RuleView is a rule with what it does now.
type RuleView struct {
	approval.Rule
	Guards     []approval.Guard
	GuardCount int
	Warnings   []Warning
	skips      []approval.PipelineSkip
	skipCount  int
}

// NewApprovalRules returns the use cases of approval rules.
func NewApprovalRules(cfg ApprovalRulesConfig) *ApprovalRules {
	return &ApprovalRules{config: cfg}
}

// views returns rules of one account with what they do now.
func (s *ApprovalRules) views(ctx context.Context, who auth.Identity, account string, rules ...approval.Rule) ([]RuleView, error) {
	reports, err := s.config.Reports.reports(ctx, who, account, rules)
	if err != nil {
		return nil, err
	}
	views := make([]RuleView, len(rules))
	for i := range rules {
		views[i] = RuleView{
			Rule: rules[i], Guards: reports[i].Guards, GuardCount: reports[i].Count, Warnings: requestWarnings(&reports[i]),
			skips: reports[i].Skips, skipCount: reports[i].SkipCount,
		}
	}
	return views, nil
}

// view is views of one rule.
func (s *ApprovalRules) view(ctx context.Context, who auth.Identity, rule approval.Rule) (RuleView, error) {
	views, err := s.views(ctx, who, rule.Account, rule)
	if err != nil {
		return RuleView{}, fmt.Errorf("report what approval rule %q guards: %w", rule.Name, err)
	}
	return views[0], nil
}

// written is view of a rule that was written just now, or only checked.
func (s *ApprovalRules) written(ctx context.Context, who auth.Identity, rule approval.Rule) (RuleView, error) {
	view, err := s.view(ctx, who, rule)
	view.skipWarnings()
	return view, err
}

// Create stores a rule, or only checks it. It holds for waits that begin from now on.
func (s *ApprovalRules) Create(
	ctx context.Context, who auth.Identity, rule approval.Rule, requestID string, validateOnly bool,
) (RuleView, error) {
	if err := authorize(who, auth.Administer, rule.Account); err != nil {
		return RuleView{}, err
	}
	if err := checkRule(&rule); err != nil {
		return RuleView{}, err
	}
	now := s.config.Clock()
	rule.CreatedAt, rule.UpdatedAt, rule.Revision = now, now, 1
	name := pipeline.ApprovalRuleName{Account: rule.Account, Rule: rule.Name}.String()
	repeat := request{rule.Account, "CreateApprovalRule", requestID, name, who.Principal}
	var created approval.Rule
	err := update(ctx, s.config.Store.Update, validateOnly, func(ctx context.Context, tx store.Tx) error {
		done, err := repeat.done(ctx, tx)
		if err != nil {
			return err
		}
		if !done {
			if err := accountExists(ctx, tx, rule.Account); err != nil {
				return err
			}
			if done, err = adoptRule(ctx, tx, repeat, rule, now); err != nil {
				return err
			}
		}
		if !done {
			err := tx.CreateApprovalRule(ctx, rule)
			if errors.Is(err, store.ErrAlreadyExists) {
				return refuse(KindAlreadyExists, pipeline.ReasonAlreadyExists,
					"approval rule %q exists in account %q; import it, or choose another name", rule.Name, rule.Account)
			}
			if err != nil {
				return err
			}
			if err := repeat.save(ctx, tx, now); err != nil {
				return err
			}
			if err := repeat.remember(ctx, tx, ruleMark(&rule), now); err != nil {
				return err
			}
		}
		created, err = findRule(ctx, tx, rule.Account, rule.Name)
		return err
	})
	if err != nil {
		return RuleView{}, fmt.Errorf("create approval rule %q: %w", rule.Name, err)
	}
	return s.written(ctx, who, created)
}

// Get returns a rule.
func (s *ApprovalRules) Get(ctx context.Context, who auth.Identity, account, name string) (RuleView, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return RuleView{}, err
	}
	var rule approval.Rule
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		rule, err = findRule(ctx, r, account, name)
		return err
	})
	if err != nil {
		return RuleView{}, fmt.Errorf("get approval rule %q: %w", name, err)
	}
	return s.view(ctx, who, rule)
}

// List returns at most size rules of an account by name, those after the given
// name. The second result is the name to go on after, empty at the end.
func (s *ApprovalRules) List(ctx context.Context, who auth.Identity, account, after string, size int) ([]RuleView, string, error) {
	if err := authorize(who, auth.Read, account); err != nil {
		return nil, "", err
	}
	var rules []approval.Rule
	err := s.config.Store.View(ctx, func(ctx context.Context, r store.Reader) (err error) {
		if err = accountExists(ctx, r, account); err != nil {
			return err
		}
		rules, err = r.ApprovalRules(ctx, account, store.Page{Size: size + 1, After: after})
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list approval rules: %w", err)
	}
	next := ""
	if len(rules) > size {
		rules = rules[:size]
		next = rules[size-1].Name
	}
	views, err := s.views(ctx, who, account, rules...)
	if err != nil {
		return nil, "", fmt.Errorf("report what approval rules guard: %w", err)
	}
	if fits := fitting(views); fits < len(views) {
		views, next = views[:fits], views[fits-1].Name
	}
	return views, next, nil
}

// maxRulesSize bounds a page of rules, which has to fit into a message of 16 MiB.
const maxRulesSize = 12 << 20

// fitting returns how many of the first rules fit into a page, at least one.
func fitting(views []RuleView) int {
	size := 0
	for i := range views {
		if size += views[i].size(); size > maxRulesSize && i > 0 {
			return i
		}
	}
	return len(views)
}

// size returns about how many bytes the rule has in a message, rather more.
func (v *RuleView) size() int {
	const each, fixed = 8, 1000
	size := fixed + len(v.Description)
	for _, texts := range [][]string{v.Pipelines, v.Stages, v.Actions, v.Users, v.Groups} {
		for _, text := range texts {
			size += each + len(text)
		}
	}
	for i := range v.Guards {
		size += 5*each + len(v.Guards[i].Pipeline) + len(v.Guards[i].Stage) + len(v.Guards[i].Action)
	}
	for i := range v.Warnings {
		size += 20*each + len(v.Warnings[i].Message)
	}
	return size
}

// Update replaces a rule, or only checks that. Waits that began before keep the rule that
// they began with.
func (s *ApprovalRules) Update(
	ctx context.Context, who auth.Identity, rule approval.Rule, etag string, validateOnly bool, check Check[approval.Rule],
) (RuleView, error) {
	if err := authorize(who, auth.Administer, rule.Account); err != nil {
		return RuleView{}, err
	}
	if err := checkRule(&rule); err != nil {
		return RuleView{}, err
	}
	now := s.config.Clock()
	var updated approval.Rule
	err := update(ctx, s.config.Store.Update, validateOnly, func(ctx context.Context, tx store.Tx) error {
		before, err := matchRule(ctx, tx, rule.Account, rule.Name, etag)
		if err != nil {
			return err
		}
		next := rule
		next.Revision, next.CreatedAt, next.UpdatedAt = before.Revision, before.CreatedAt, before.UpdatedAt
		if err := check.allows(before, next); err != nil {
			return err
		}
		if !reflect.DeepEqual(before, next) {
			next.UpdatedAt = now
			if err := tx.UpdateApprovalRule(ctx, next); err != nil {
				return err
			}
		}
		updated, err = findRule(ctx, tx, rule.Account, rule.Name)
		return err
	})
	if err != nil {
		return RuleView{}, fmt.Errorf("update approval rule %q: %w", rule.Name, err)
	}
	return s.written(ctx, who, updated)
}

// Delete removes a rule.
func (s *ApprovalRules) Delete(ctx context.Context, who auth.Identity, account, name, etag string) error {
	if err := authorize(who, auth.Administer, account); err != nil {
		return err
	}
	err := update(ctx, s.config.Store.Update, false, func(ctx context.Context, tx store.Tx) error {
		if _, err := matchRule(ctx, tx, account, name, etag); err != nil {
			return err
		}
		return tx.DeleteApprovalRule(ctx, account, name)
	})
	if err != nil {
		return fmt.Errorf("delete approval rule %q: %w", name, err)
	}
	return nil
}

// checkRule refuses a rule that could never be met or never match.
func checkRule(rule *approval.Rule) error {
	root := requestPath("approval_rule")
	if err := pipeline.CheckApprovalRule(rule.Name); err != nil {
		return invalidField(root.Field("name"), err.Error())
	}
	if rule.ExpireAfter < 0 {
		return invalidField(root.Field("expire_after_minutes"), "a wait cannot end before it begins")
	}
	return invalidDefinition(pipeline.ValidateApprovalRule(
		rule.Pipelines, rule.Stages, rule.Actions, rule.Users, rule.Groups, rule.MinimumCount), nil, root)
}

func findRule(ctx context.Context, r store.ApprovalRuleReader, account, name string) (approval.Rule, error) {
	rule, err := r.ApprovalRule(ctx, account, name)
	if errors.Is(err, store.ErrNotFound) {
		return rule, refuse(KindNotFound, pipeline.ReasonNotFound, "approval rule %q does not exist in account %q", name, account)
	}
	return rule, err
}

// matchRule returns a rule that is what the caller read.
func matchRule(ctx context.Context, r store.ApprovalRuleReader, account, name, etag string) (approval.Rule, error) {
	rule, err := findRule(ctx, r, account, name)
	if err == nil && etag != "" && etag != rule.Etag() {
		return rule, refuse(KindConflict, pipeline.ReasonEtagMismatch,
			"approval rule %q changed since it was read (last at %s): read it again and retry",
			name, rule.UpdatedAt.UTC().Format(time.RFC3339))
	}
	return rule, err
}
