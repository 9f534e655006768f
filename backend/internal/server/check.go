package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/certificate"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/runner"
	"github.com/headrace/terraform-provider-headrace/backend/internal/sealer"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store"
	"github.com/headrace/terraform-provider-headrace/backend/internal/store/sqlite"
)

const (
	// certificateSoon is how long before its end a certificate has to be renewed.
	certificateSoon = 14 * 24 * time.Hour
	// clockTolerance is how far the clocks of servers on one database may differ.
	clockTolerance = time.Minute
	// checkedFile is the size of the file that is tried in the work directory.
	checkedFile = 64 << 10
)

// Check looks at everything that a server with this configuration needs, also while one runs,
// and returns a line for each. The error says how many are not as they should be.
func Check(ctx context.Context, cfg config.Config) (report string, err error) {
	s := newStart(cfg, Options{Log: hclog.NewNullLogger()})
	defer func() { err = errors.Join(err, s.opened.close()) }()
	c := &checkup{start: s}
	c.run(ctx)
	report = strings.TrimSuffix(c.report.String(), "\n")
	if c.failed > 0 {
		return report, fmt.Errorf("%d of %d checks failed", c.failed, c.done)
	}
	return report, nil
}

// checkup is one call of Check.
type checkup struct {
	*start
	report       strings.Builder
	done, failed int
}

func (c *checkup) run(ctx context.Context) {
	c.check("database", func() (string, error) { return c.database(ctx) })
	c.check("storage", c.withDatabase(func() (string, error) { return c.storage(ctx) }))
	c.check("keys", c.withDatabase(func() (string, error) { return c.keys(ctx) }))
	c.check("clock", c.withDatabase(func() (string, error) { return c.clocks(ctx) }))
	c.check("certificate", c.certificate)
	c.check("work directory", c.workDir)
	c.check("isolation", func() (string, error) { return c.isolation(ctx) })
}

// notCheckedError is the error of a check that was not made, and says why.
type notCheckedError string

func (n notCheckedError) Error() string { return "not checked, because " + string(n) }

// The reasons why a check is not made.
const (
	errNoDatabase notCheckedError = "the check of the database failed"
	errNoRunner   notCheckedError = "runner-slots is 0"
	errNoTLS      notCheckedError = "tls-cert-file is not set"
)

// withDatabase returns a check that is not made without the database.
func (c *checkup) withDatabase(look func() (string, error)) func() (string, error) {
	if c.data == nil || c.data.store == nil {
		return func() (string, error) { return "", errNoDatabase }
	}
	return look
}

// check adds a line on one thing.
func (c *checkup) check(what string, look func() (string, error)) {
	c.done++
	said, err := look()
	word := "ok"
	var skipped notCheckedError
	switch {
	case errors.As(err, &skipped):
		word, said = "skip", skipped.Error()
	case err != nil:
		c.failed++
		word, said = "FAILED", err.Error()
	}
	fmt.Fprintf(&c.report, "%-6s  %-14s  %s\n", word, what, strings.Join(strings.Fields(said), " "))
}

// database opens the database, and leaves it in data for the other checks.
func (c *checkup) database(ctx context.Context) (string, error) {
	if c.config.DatabaseURL != "" {
		c.data = &data{}
		if err := c.openReplica(ctx, c.data); err != nil {
			return "", withRepair(err, c.data)
		}
		return c.data.place + " is reachable and its schema is current", nil
	}
	dir, err := embeddedDir(c.config.DataDir)
	if err != nil {
		return "", err
	}
	place := filepath.Join(dir, databaseFile)
	found := &data{place: place}
	if err := sqlite.Check(ctx, place); err != nil {
		return "", withRepair(err, found)
	}
	opened, err := sqlite.OpenReadOnly(ctx, place)
	if err != nil {
		return "", withRepair(err, found)
	}
	c.opened.add(opened.Close)
	found.use(opened)
	c.data = found
	return place + " is intact", nil
}

// openBucket opens the bucket of the configuration.
func (c *checkup) openBucket(ctx context.Context) (bucket *blob.Bucket, shown string, err error) {
	address, err := storageURL(c.config)
	if err != nil {
		return nil, "", err
	}
	if shown, err = blob.Shown(address); err != nil {
		return nil, "", err
	}
	if bucket, err = blob.OpenBucket(ctx, address); err != nil {
		return nil, "", err
	}
	c.opened.add(bucket.Close)
	return bucket, shown, nil
}

func (c *checkup) storage(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, storagePatience)
	defer cancel()
	bucket, shown, err := c.openBucket(ctx)
	if err != nil {
		return "", err
	}
	if err := (&pair{store: c.data.store, bucket: bucket, database: c.data.place, storage: shown}).check(ctx); err != nil {
		return "", err
	}
	artifacts, err := bucket.Existing(artifactsDir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", shown, err)
	}
	if err := artifacts.Check(ctx); err != nil {
		return "", fmt.Errorf("%s cannot be written to, read and cleaned up: %w", shown, err)
	}
	return shown + " is the storage of the database and is writable", nil
}

func (c *checkup) keys(ctx context.Context) (string, error) {
	bucket, shown, err := c.openBucket(ctx)
	if err != nil {
		return "", err
	}
	artifacts, artifactsErr := bucket.Existing(artifactsDir)
	logs, logsErr := bucket.Existing(logsDir)
	if err := errors.Join(artifactsErr, logsErr); err != nil {
		return "", fmt.Errorf("%s: %w", shown, err)
	}
	keys, err := c.openKeys(ctx, bucket, artifacts, logs)
	if err != nil {
		return "", fmt.Errorf("%s: %w", shown, err)
	}
	if keys != nil {
		return "storage-key opens the data keys of " + shown, nil
	}
	file := filepath.Join(c.config.DataDir, secretsKeyFile)
	if err := sealer.New(sealer.Config{KeyFile: file, Store: c.data.store}).Check(ctx); err != nil {
		return "", err
	}
	return "the storage is not encrypted, and sealed values can be opened", nil
}

// clocks compares the clock with that of the database's machine, if that is another one's, and
// with the newest event, which some server wrote by its own.
func (c *checkup) clocks(ctx context.Context) (string, error) {
	var newest time.Time
	err := c.data.store.View(ctx, func(ctx context.Context, r store.Reader) error {
		position, err := r.NewestPosition(ctx)
		if err != nil || position == 0 {
			return err
		}
		page, err := r.Feed(ctx, store.FeedQuery{After: position - 1, Size: 1})
		if err != nil {
			return err
		}
		for i := range page.Events {
			newest = page.Events[i].At
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	if c.data.now == nil {
		now := c.clock()
		return compareClocks(now, newest, now, "")
	}
	theirs, err := c.data.now(ctx)
	if err != nil {
		return "", err
	}
	return compareClocks(c.clock(), newest, theirs, c.data.place)
}

// compareClocks says how the clock compares with the newest event and with the clock of the
// database at a place. The place is empty if the database is on this machine, where nothing
// tells a clock that is ahead.
func compareClocks(now, newest, theirs time.Time, place string) (string, error) {
	shown := now.Format(time.RFC3339)
	if ahead := newest.Sub(now); ahead > clockTolerance {
		return "", fmt.Errorf("the clock says %s, and the newest event in the database is %s later: set the clock of this machine, or of the server that wrote it",
			shown, ahead.Round(time.Second))
	}
	if ahead := now.Sub(theirs); ahead.Abs() > clockTolerance {
		direction := "ahead of"
		if ahead < 0 {
			direction = "behind"
		}
		return "", fmt.Errorf("the clock says %s, which is %s %s the clock of the database %s: synchronize the clocks of both machines, for example by NTP",
			shown, ahead.Abs().Round(time.Second), direction, place)
	}
	if place == "" {
		return shown + ", not before the newest event in the database; no other clock to compare it with", nil
	}
	return shown + ", not before the newest event in the database, and within " + clockTolerance.String() + " of the clock of the database", nil
}

func (c *checkup) certificate() (string, error) {
	if c.config.TLSCertFile == "" {
		return "", errNoTLS
	}
	source, err := certificate.Load(certificate.Config{
		Files: certificate.Files{Cert: c.config.TLSCertFile, Key: c.config.TLSKeyFile, ClientCA: c.config.TLSClientCAFile},
		Clock: c.clock, Log: c.log,
	})
	if err != nil {
		return "", err
	}
	end := source.NotAfter()
	if left := end.Sub(c.clock()); left < certificateSoon {
		return "", fmt.Errorf("%s expires at %s: renew it", c.config.TLSCertFile, end.Format(time.RFC3339))
	}
	return c.config.TLSCertFile + " expires at " + end.Format(time.RFC3339), nil
}

func (c *checkup) workDir() (string, error) {
	if c.config.RunnerSlots == 0 {
		return "", errNoRunner
	}
	dir := filepath.Join(c.config.DataDir, workDirectory)
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		// The start makes it.
		dir = c.config.DataDir
	case err == nil && !info.IsDir():
		return "", fmt.Errorf("%s is not a directory: remove it, and the server makes one", dir)
	}
	file, err := os.CreateTemp(dir, ".check-*")
	if err != nil {
		return "", err
	}
	_, err = file.Write(make([]byte, checkedFile))
	if err := errors.Join(err, file.Close(), os.Remove(file.Name())); err != nil {
		return "", err
	}
	return dir + " is writable", nil
}

func (c *checkup) isolation(ctx context.Context) (string, error) {
	if c.config.RunnerSlots == 0 {
		return "", errNoRunner
	}
	found, err := runner.Detect(ctx, c.config.Isolation)
	if err != nil {
		return "", err
	}
	if found.NotIsolated() != nil {
		return "", fmt.Errorf("commands fail, because they cannot be isolated: %s; install bubblewrap, or set --isolation none", found.Detail)
	}
	return found.Name() + ": " + found.Detail, nil
}
