package store

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
)

// ApprovalRuleReader reads approval rules.
type ApprovalRuleReader interface {
	ApprovalRule(ctx context.Context, account, name string) (approval.Rule, error)
	// ApprovalRules returns rules by name. Page.After is a name; size 0 returns all.
	ApprovalRules(ctx context.Context, account string, page Page) ([]approval.Rule, error)
}

// ApprovalRuleWriter reads and writes approval rules.
type ApprovalRuleWriter interface {
	ApprovalRuleReader

	CreateApprovalRule(ctx context.Context, rule approval.Rule) error
	// UpdateApprovalRule writes the record if its revision is still rule.Revision, and
	// adds one to the revision; else ErrStale.
	UpdateApprovalRule(ctx context.Context, rule approval.Rule) error
	DeleteApprovalRule(ctx context.Context, account, name string) error
	// RulesRevision returns the revision of an account's rules, for ConfirmRules. The
	// caller reads the rules after it. They cannot change until the transaction ends.
	RulesRevision(ctx context.Context, account string) (int64, error)
	// ConfirmRules returns ErrStale if an account's approval rules or settings changed
	// since they had that revision. They cannot change until the transaction ends.
	ConfirmRules(ctx context.Context, account string, revision int64) error
}
