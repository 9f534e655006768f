// Command headraced is the Headrace server.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/logging"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	err := closeInherited()
	if err == nil {
		err = command(logging.TakeOver).Execute()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "headraced:", err)
		os.Exit(1)
	}
}

// command returns the program. A server hands its log to takeOver, for libraries that have one
// logger for the process.
func command(takeOver func(hclog.Logger)) *cobra.Command {
	root := &cobra.Command{
		Use:   "headraced",
		Short: "Run the Headrace server",
		Long: "Run the Headrace server, which stores pipelines, runs their executions and reports their state.\n\n" +
			"Each setting is a flag, an environment variable or a key in the file given with --config. In the\n" +
			"file, write _ instead of -, for example data_dir. A flag takes precedence over the environment,\n" +
			"and the environment over the file.",
		Example:       "  headraced --data-dir /var/lib/headrace",
		Args:          cobra.NoArgs,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	loader := config.NewLoader(root.Flags())
	root.SetHelpFunc(help)
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loader.Load(os.Getenv)
		if err != nil {
			return err
		}
		return run(cmd.Context(), cfg, takeOver)
	}
	root.AddCommand(migrate(), migrateStore(), backup(), restore(), check(), adoptStorage(), storageKey())
	return root
}

func migrate() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "migrate",
		Short: "Update the schema of the PostgreSQL database",
		Long: "Update the schema of the PostgreSQL database of --database-url. Servers do not do this when they\n" +
			"start, so run it once before you start servers of a newer version. If it runs twice at the same\n" +
			"time, the second run waits for the first.",
		Example: "  headraced migrate --database-url postgres://headrace@db/headrace",
	}, server.Migrate)
}

func migrateStore() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "migrate-store",
		Short: "Move the database in data-dir to an empty PostgreSQL database",
		Long: "Move everything from the database in --data-dir to the PostgreSQL database of --database-url. Stop the\n" +
			"server first, and run \"headraced migrate\" on the PostgreSQL database, which must be empty otherwise.\n" +
			"The move is one transaction, and the data is compared before the commit. Executions that wait\n" +
			"continue on PostgreSQL. The database in --data-dir is not changed, but servers refuse to start on it.",
		Example: "  headraced migrate-store --data-dir /var/lib/headrace --database-url postgres://headrace@db/headrace",
	}, server.MigrateStore)
}

func backup() *cobra.Command {
	var to string
	cmd := operation(&cobra.Command{
		Use:   "backup --to FILE",
		Short: "Back up the database in data-dir to a file",
		Long: "Back up the database in --data-dir to a new file. The server can be running and is not delayed. The\n" +
			"file is a consistent copy; it appears only when it is complete, verified and on disk. It does not\n" +
			"contain artifacts and logs.",
		Example: "  headraced backup --data-dir /var/lib/headrace --to /backup/headrace.db",
	}, func(ctx context.Context, cfg config.Config) (string, error) { return server.Backup(ctx, cfg, to) })
	return withFile(cmd, &to, "to", "file to create; an existing file is not overwritten")
}

func restore() *cobra.Command {
	var from string
	cmd := operation(&cobra.Command{
		Use:   "restore --from FILE",
		Short: "Restore the database in data-dir from a backup",
		Long: "Restore the database in --data-dir from a file that \"headraced backup\" created. The file is verified\n" +
			"first, and --data-dir must not contain a database. Attempts that were running during the backup are\n" +
			"lost at the next start, as after a crash.",
		Example: "  headraced restore --data-dir /var/lib/headrace --from /backup/headrace.db",
	}, func(ctx context.Context, cfg config.Config) (string, error) { return server.Restore(ctx, cfg, from) })
	return withFile(cmd, &from, "from", "file that \"headraced backup\" created")
}

func check() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "check",
		Short: "Check the database, storage, keys, certificate, work directory, isolation and clock",
		Long: "Check what a server with these settings needs: the database, which is read in full if it is in\n" +
			"--data-dir, the storage and its keys, the certificate, the work directory, the isolation of commands\n" +
			"and the clock. The server can be running. Prints a line for each check and exits with 1 if one fails.",
		Example: "  headraced check --data-dir /var/lib/headrace",
	}, server.Check)
}

func adoptStorage() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "adopt-storage",
		Short: "Use another storage with the database",
		Long: "Use the storage of --storage-url, or of --data-dir if it is not set, with the database from now on. A\n" +
			"server refuses to start on a storage that does not belong to its database. Use this command if the\n" +
			"storage changed on purpose, for example after the old one was lost. The storage then no longer\n" +
			"belongs to any other database. Stop the servers first.",
		Example: "  headraced adopt-storage --data-dir /var/lib/headrace --storage-url s3://headrace?region=eu-central-1",
	}, server.AdoptStorage)
}

// withFile adds the flag of a file that must be named.
func withFile(cmd *cobra.Command, file *string, flag, usage string) *cobra.Command {
	cmd.Flags().StringVar(file, flag, "", usage)
	// The flag is there.
	_ = cmd.MarkFlagRequired(flag)
	return cmd
}

// operation makes a command that does one thing with the settings of a server and says
// what it did.
func operation(cmd *cobra.Command, do func(context.Context, config.Config) (string, error)) *cobra.Command {
	cmd.Args = cobra.NoArgs
	loader := config.NewLoader(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loader.Load(os.Getenv)
		if err != nil {
			return err
		}
		ctx, stop := stoppable(cmd.Context())
		defer stop()
		told, err := do(ctx, cfg)
		if told != "" {
			_, writeErr := fmt.Fprintln(cmd.OutOrStdout(), told)
			err = errors.Join(err, writeErr)
		}
		return err
	}
	return cmd
}

// help prints the help of a command, with the default and the environment variable of
// each setting that it takes.
func help(cmd *cobra.Command, _ []string) {
	var b strings.Builder
	b.WriteString(cmp.Or(cmd.Long, cmd.Short) + "\n\nUsage:\n")
	if cmd.Runnable() {
		b.WriteString("  " + cmd.UseLine() + "\n")
	}
	if cmd.HasAvailableSubCommands() {
		b.WriteString("  " + cmd.CommandPath() + " COMMAND\n\nCommands:\n")
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			b.WriteString("  " + sub.Use + "\n      " + sub.Short + "\n")
		}
	}
	if cmd.HasExample() {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	b.WriteString("\nFlags:\n" + config.Help(cmd.Flags()))
	// If the help cannot be written, an error cannot be reported either.
	_, _ = fmt.Fprint(cmd.OutOrStdout(), b.String())
}

// stoppable returns a context that ends with SIGTERM or SIGINT. The second of them ends
// the program at once.
func stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run serves until SIGTERM or SIGINT. The second of them ends it at once. SIGHUP reloads
// certificates, also one that comes during the start.
func run(ctx context.Context, cfg config.Config, takeOver func(hclog.Logger)) error {
	ctx, stop := stoppable(ctx)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	log := logging.New(logging.Config{
		Name: "headraced", Level: hclog.LevelFromString(cfg.LogLevel), JSON: cfg.LogFormat == "json", Output: os.Stderr, Clock: time.Now,
	})
	takeOver(log)
	srv, err := server.New(ctx, cfg, server.Options{Version: version, Log: log})
	if err != nil {
		return err
	}
	reloading, endReloads := context.WithCancel(ctx)
	reloaded := make(chan struct{})
	go func() {
		defer close(reloaded)
		reloadAt(reloading, hangups, srv)
	}()
	err = srv.Run(ctx)
	endReloads()
	<-reloaded
	return err
}

// reloadAt reloads at each signal, until the context ends.
func reloadAt(ctx context.Context, signals <-chan os.Signal, srv *server.Server) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			srv.Reload()
		}
	}
}
