package approval

import (
	"strconv"
	"time"

	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
)

// Rule says who must agree, and where.
type Rule struct {
	Account     string
	Name        string
	Description string
	Pipelines   []string
	Stages      []string
	Actions     []string
	execution.Requirement
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Etag returns the etag that a write of the rule must match. The revision starts at 1 again
// for a new rule of the same name and after a restore; the time of the last change does not.
func (r *Rule) Etag() string {
	return strconv.FormatInt(r.Revision, 10) + "-" + strconv.FormatInt(r.UpdatedAt.UnixMicro(), 36)
}
