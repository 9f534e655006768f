package service

import (
	"context"

	"github.com/headrace/terraform-provider-headrace/backend/internal/action"
	"github.com/headrace/terraform-provider-headrace/backend/internal/execution"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
)

// SmallLogs gives the log store the logs that the store keeps. Callers were authorized before
// they opened the log.
type SmallLogs struct{ Store store.Store }

// SmallLogs implements logs.SmallLogs.
func (l SmallLogs) SmallLogs(ctx context.Context, executionID, actionExecutionID string) (found []action.SmallLog, err error) {
	var kept []execution.Log
	err = l.Store.View(ctx, func(ctx context.Context, r store.Reader) error {
		kept, err = r.SmallLogs(ctx, executionID, actionExecutionID)
		return err
	})
	for i := range kept {
		found = append(found, kept[i].SmallLog)
	}
	return found, err
}
