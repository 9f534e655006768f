package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/postgres"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/transfer"
)

// MigrateStore carries everything that the database in the data directory holds to an
// empty PostgreSQL, in one transaction, and says what that was. The database in the data
// directory stays as it is, with a mark beside it. Its server must not run.
func MigrateStore(ctx context.Context, cfg config.Config) (summary string, err error) {
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
		return "", fmt.Errorf("move the database: %w", err)
	}
	if err := dir.markMoved(cfg.DatabaseURL); err != nil {
		return "", fmt.Errorf("all of %s was moved, but that could not be noted there: start no server on it without database-url, "+
			"which would do everything a second time: %w", path, err)
	}
	return fmt.Sprintf(`%sMoved all of %s. It is as it was, but that no server starts on it without database-url, which would do
everything a second time. Now copy %s, %s, %s and, where it is encrypted, %s of it to the directory or bucket of storage-url, and start servers
with database-url and storage-url.%s`,
		report, path, artifactsDir, logsDir, identityPart, seal.Part, dir.moveKeyFile()), nil
}

// Backup copies the database of the data directory, whose server may run, to a new
// file.
func Backup(ctx context.Context, cfg config.Config, to string) (string, error) {
	if err := onEmbedded("back up", cfg); err != nil {
		return "", err
	}
	path, err := embeddedDir(cfg.DataDir)
	if err != nil {
		return "", err
	}
	d := dataDir{path: path}
	err = sqlite.Backup(ctx, d.join(databaseFile), to)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s is there already: name a new file", to)
	}
	if err != nil {
		return "", fmt.Errorf("back up the database: %w", err)
	}
	return fmt.Sprintf("wrote %s, which is whole; now copy %s, then %s, if they are to be kept, %s, and last, where they are encrypted, %s%s",
		to, artifactsDir, logsDir, identityPart, seal.Part, d.backUpKeyFile()), nil
}

// backUpKeyFile says what a backup needs besides, empty if there is no key file.
func (d *dataDir) backUpKeyFile() string {
	if !d.hasKeyFile() {
		return ""
	}
	return fmt.Sprintf(". Also copy %s, and keep it apart from the database: it opens the secrets in it, and without it they are lost", d.join(secretsKeyFile))
}

// moveKeyFile is backUpKeyFile for a move to PostgreSQL.
func (d *dataDir) moveKeyFile() string {
	if !d.hasKeyFile() {
		return ""
	}
	return fmt.Sprintf(`
Also copy %s to the data directory of every new server, which opens the present secrets with it, and set
storage-key on every server, which seals new values.`, d.join(secretsKeyFile))
}

func (d *dataDir) hasKeyFile() bool {
	_, err := os.Lstat(d.join(secretsKeyFile))
	return err == nil
}

// Restore makes the database of the data directory, which has none, from a file that
// Backup wrote.
func Restore(ctx context.Context, cfg config.Config, from string) (summary string, err error) {
	if err := onEmbedded("restore", cfg); err != nil {
		return "", err
	}
	dir, err := openDataDir(cfg.DataDir, hclog.NewNullLogger())
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, dir.unlock()) }()
	err = sqlite.Restore(ctx, from, dir.join(databaseFile))
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("data-dir %s has a %s: choose another directory, or move what it has away", dir.path, databaseFile)
	}
	if err != nil {
		return "", fmt.Errorf("restore the database: %w", err)
	}
	return fmt.Sprintf("restored %s; put %s, %s, %s and, where they are encrypted, %s that were copied after it beside it, and start the server; where these are lost, run %s first. "+
		"If the backup said so, also put %s there: without it the secrets cannot be read",
		dir.join(databaseFile), artifactsDir, logsDir, identityPart, seal.Part, adoptCommand, secretsKeyFile), nil
}

// onEmbedded returns an error where the configuration is of servers on PostgreSQL.
func onEmbedded(what string, cfg config.Config) error {
	if cfg.DatabaseURL != "" {
		return fmt.Errorf("database-url is set: %s the PostgreSQL by its own means (pg_dump, or copies of its log), or unset it for the database in data-dir", what)
	}
	return nil
}
