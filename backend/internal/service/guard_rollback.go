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

// skipsGuards returns what automatic rollbacks would skip in the next version, and do not
// in the newest one, in stages that approval rules guard. It refuses that unless the
// caller is an admin: who must agree is not a deployer's choice, neither for a rollback
// nor in the first version.
func skipsGuards(ctx context.Context, r store.Reader, who auth.Identity, p *definition.Pipeline, before int64, after *pipeline.Definition) ([]approval.Skip, error) {
	rules, err := r.ApprovalRules(ctx, p.Account, store.Page{})
	if err != nil || len(rules) == 0 || len(approval.Skips(rules, p.Name, after)) == 0 {
		return nil, err
	}
	newest := &pipeline.Definition{}
	if before > 0 {
		version, err := r.PipelineVersion(ctx, p.ID, before)
		if err != nil {
			return nil, err
		}
		newest = &version.Definition
	}
	skips := approval.Weakened(rules, p.Name, newest, after)
	if len(skips) == 0 || who.May(auth.Administer, p.Account) {
		return skips, nil
	}
	more := ""
	if len(skips) > 1 {
		more = fmt.Sprintf(" (and %d more)", len(skips)-1)
	}
	return nil, refuse(KindDenied, pipeline.ReasonGuardRequiresAdmin, "%s%s; this requires the role admin", skipMessage(skips[0], p.Name), more)
}
