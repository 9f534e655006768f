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
		return "", errors.New("database-url is required: the PostgreSQL to move to, which may hold nothing but what headraced migrate made")
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
		return "", fmt.Errorf("everything in %s was moved, but this could not be recorded there: do not start a server on it without database-url, "+
			"since it would run everything a second time: %w", path, err)
	}
	return fmt.Sprintf(`%sMoved everything in %s. It is unchanged, but no server starts on it without database-url from now on, since that
server would run everything a second time. Next, copy its %s, %s, %s and, if storage is encrypted, %s to the directory or bucket of
storage-url, and start the servers with database-url and storage-url.%s`,
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
		return "", fmt.Errorf("%s exists: choose another file", to)
	}
	if err != nil {
		return "", fmt.Errorf("back up the database: %w", err)
	}
	return fmt.Sprintf("wrote the backup %s and checked it. To keep artifacts and logs too, copy %s next, then %s, then %s, and last, if storage is encrypted, %s%s",
		to, artifactsDir, logsDir, identityPart, seal.Part, d.backUpKeyFile()), nil
}

// backUpKeyFile says what a backup needs besides, empty if there is no key file.
func (d *dataDir) backUpKeyFile() string {
	if !d.hasKeyFile() {
		return ""
	}
	return fmt.Sprintf(". Also copy %s, and keep it apart from the backup: it opens the secrets, which are lost without it", d.join(secretsKeyFile))
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
		return "", fmt.Errorf("data-dir %s has a %s already: choose another directory, or move that file away", dir.path, databaseFile)
	}
	if err != nil {
		return "", fmt.Errorf("restore the database: %w", err)
	}
	return fmt.Sprintf("restored %s. Put the copies of %s, %s, %s and, if storage is encrypted, %s beside it, and start the server; if they are lost, run %s first. "+
		"If the backup named %s, put that there too: the secrets cannot be read without it",
		dir.join(databaseFile), artifactsDir, logsDir, identityPart, seal.Part, adoptCommand, secretsKeyFile), nil
}

// onEmbedded returns an error where the configuration is of servers on PostgreSQL.
func onEmbedded(what string, cfg config.Config) error {
	if cfg.DatabaseURL != "" {
		return fmt.Errorf("database-url is set: %s PostgreSQL with its own tools (pg_dump, or continuous archiving), or unset database-url for the database in data-dir", what)
	}
	return nil
}
