// Command headraced is the Headrace server.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	err := closeInherited()
	if err == nil {
		err = command().Execute()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "headraced:", err)
		os.Exit(1)
	}
}

func command() *cobra.Command {
	root := &cobra.Command{
		Use:   "headraced",
		Short: "Run release pipelines that are declared in Terraform",
		Long: "headraced keeps pipelines, runs their executions and reports their state.\n\n" +
			"Every setting is a flag, an environment variable, or a key of the file given by --config\n" +
			"(the flag with _ for -, as in data_dir); a flag wins over the environment, that over the file.",
		Args:          cobra.NoArgs,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	loader := config.NewLoader(root.Flags())
	helps(root, loader)
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loader.Load(os.Getenv)
		if err != nil {
			return err
		}
		return run(cmd.Context(), cfg)
	}
	root.AddCommand(migrate(), migrateStore(), backup(), restore(), adoptStorage(), storageKey())
	return root
}

func migrate() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of the PostgreSQL of database-url up to date",
		Long: "migrate brings the schema of the PostgreSQL of --database-url up to date, which no start does by itself:\n" +
			"run it once before servers of a newer version start. Two at once wait for each other.",
	}, server.Migrate)
}

func migrateStore() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "migrate-store",
		Short: "Move everything from the database in data-dir to an empty PostgreSQL",
		Long: "migrate-store moves everything from the database in --data-dir, whose server is stopped, to the PostgreSQL of\n" +
			"--database-url, on which nothing but migrate was run: in one transaction, and compared before it is committed.\n" +
			"What waits goes on there. The database in the data directory stays as it is, and no server starts on it any more.",
	}, server.MigrateStore)
}

func backup() *cobra.Command {
	var to string
	cmd := operation(&cobra.Command{
		Use:   "backup --to FILE",
		Short: "Copy the database in data-dir to a file, also while the server runs",
		Long: "backup copies the database in --data-dir as it is at one moment to a new file, also while the server runs, which\n" +
			"waits for nothing. The file is there once it is whole, checked and on the disk. It has no artifacts and no logs.",
	}, func(ctx context.Context, cfg config.Config) (string, error) { return server.Backup(ctx, cfg, to) })
	return withFile(cmd, &to, "to", "file to make; one that is there is not overwritten")
}

func restore() *cobra.Command {
	var from string
	cmd := operation(&cobra.Command{
		Use:   "restore --from FILE",
		Short: "Make the database in data-dir from a file of backup",
		Long: "restore makes the database in --data-dir, which has none, from a file that backup wrote, and checks it before.\n" +
			"Attempts that ran at the moment of the backup are lost at the next start, as after a crash.",
	}, func(ctx context.Context, cfg config.Config) (string, error) { return server.Restore(ctx, cfg, from) })
	return withFile(cmd, &from, "from", "file that backup wrote")
}

func adoptStorage() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "adopt-storage",
		Short: "Make the storage of storage-url the one of the database, where it is another on purpose",
		Long: "adopt-storage makes the storage of --storage-url, or else --data-dir, the one of the database: where a start refuses it\n" +
			"and it is another one on purpose, as after the old one was lost. Other databases do not take it for theirs any more, nor\n" +
			"this one another storage. Stop the servers first.",
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
	helps(cmd, loader)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loader.Load(os.Getenv)
		if err != nil {
			return err
		}
		ctx, stop := stoppable(cmd.Context())
		defer stop()
		told, err := do(ctx, cfg)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), told)
		return err
	}
	return cmd
}

// helps lets a command's help tell its settings.
func helps(cmd *cobra.Command, loader *config.Loader) {
	cmd.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		var commands string
		for _, sub := range cmd.Commands() {
			if sub.IsAvailableCommand() {
				commands += "  " + sub.Use + "\n      " + sub.Short + "\n"
			}
		}
		if commands != "" {
			commands = "\n\nCommands:\n" + commands[:len(commands)-1]
		}
		// Nobody is left to tell where the help itself cannot be written.
		_, _ = fmt.Fprint(cmd.OutOrStdout(), cmd.Long, commands, "\n\nSettings:\n", loader.Help())
	})
}

// stoppable returns a context that ends with SIGTERM or SIGINT. The second of them ends
// the program at once.
func stoppable(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// run serves until SIGTERM or SIGINT. The second of them ends it at once.
func run(ctx context.Context, cfg config.Config) error {
	ctx, stop := stoppable(ctx)
	defer stop()
	log := hclog.New(&hclog.LoggerOptions{
		Name: "headraced", Level: hclog.LevelFromString(cfg.LogLevel), JSONFormat: cfg.LogFormat == "json", Output: os.Stderr,
	})
	srv, err := server.New(ctx, cfg, server.Options{Version: version, Log: log})
	if err != nil {
		return err
	}
	return srv.Run(ctx)
}
