package service

import (
	"context"
	"fmt"

	"github.com/headrace/terraform-provider-headrace/backend/internal/approval"
	"github.com/headrace/terraform-provider-headrace/backend/internal/auth"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// staysGuarded refuses a next version in which the approval rules of the account
// guard less than in the newest one, unless the caller is an admin: rules go by
// names, and who deploys must not choose who has to agree by renaming. After is
// empty where the pipeline is deleted.
func staysGuarded(ctx context.Context, r store.Reader, who auth.Identity, p *store.Pipeline, after *pipeline.Definition) error {
	if p.Version == 0 || who.May(auth.Administer, p.Account) {
		return nil
	}
	rules, err := r.ApprovalRules(ctx, p.Account, store.Page{})
	if err != nil || len(rules) == 0 {
		return err
	}
	newest, err := r.PipelineVersion(ctx, p.ID, p.Version)
	if err != nil {
		return err
	}
	lost := approval.Lost(rules, p.Name, &newest.Definition, after)
	if len(lost) == 0 {
		return nil
	}
	more := ""
	if len(lost) > 1 {
		more = fmt.Sprintf(" (and %d more that rules guard)", len(lost)-1)
	}
	return refuse(KindDenied, pipeline.ReasonPermissionDenied,
		"approval rule %q guards %s of pipeline %s, and this change removes or renames it%s: that takes the role admin",
		lost[0].Rule, lost[0], p.Name, more)
}
