package service

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/definition"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// checkApprovalCoverage refuses a next version in which the approval rules of the account guard
// less than in the newest one: rules go by names, and who deploys must not choose who has
// to agree by renaming. An admin may do it and is warned. After is empty if the pipeline
// is deleted.
func checkApprovalCoverage(ctx context.Context, r store.Reader, who auth.Identity, p *definition.Pipeline, after *pipeline.Definition) ([]Warning, error) {
	if p.Version == 0 {
		return nil, nil
	}
	rules, err := r.ApprovalRules(ctx, p.Account, store.Page{})
	if err != nil || len(rules) == 0 {
		return nil, err
	}
	newest, err := r.PipelineVersion(ctx, p.ID, p.Version)
	if err != nil {
		return nil, err
	}
	lost := approval.Lost(rules, p.Name, &newest.Definition, after)
	if len(lost) == 0 {
		return nil, nil
	}
	if who.May(auth.Administer, p.Account) {
		return lostWarnings(lost, p.Name), nil
	}
	more := ""
	if len(lost) > 1 {
		more = fmt.Sprintf(" (and %d more that rules guard)", len(lost)-1)
	}
	return nil, refuse(KindDenied, pipeline.ReasonGuardRequiresAdmin,
		"approval rule %q guards %s of pipeline %s, and this change removes or renames it%s; this requires the role admin",
		lost[0].Rule, lost[0], p.Name, more)
}
