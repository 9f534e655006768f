package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/transfer"
)

// MigrateStore carries everything that the database in the data directory holds to an
// empty PostgreSQL, in one transaction, and says what that was. The data directory
// stays as it is. Its server must not run.
func MigrateStore(ctx context.Context, cfg config.Config) (told string, err error) {
	if cfg.DatabaseURL == "" {
		return "", errors.New("database-url: name the PostgreSQL to move to; it is empty but for what headraced migrate made")
	}
	path, err := embeddedDir(cfg.DataDir)
	if err != nil {
		return "", err
	}
	dir, err := lockDataDir(path)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dir.unlock()) }()
	queue, err := openQueue(ctx, cfg.DatabaseURL, time.Now, hclog.NewNullLogger())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	if err := queue.Ready(ctx); err != nil {
		return "", err
	}
	var report *transfer.Report
	err = sqlite.Read(ctx, dir.join(databaseFile), func(ctx context.Context, source *sqlite.Snapshot) error {
		return postgres.Load(ctx, cfg.DatabaseURL, queue, func(ctx context.Context, target *postgres.Loading) (err error) {
			report, err = transfer.Move(ctx, source, target)
			return err
		})
	})
	if err != nil {
		return "", fmt.Errorf("nothing was moved: %w", err)
	}
	return fmt.Sprintf(`%sMoved all of %s. It is as it was: start no server on it without database-url, which would do
everything a second time. Now copy %s and %s of it to shared-dir, and start servers with database-url.`,
		report, path, artifactsDir, logsDir), nil
}
