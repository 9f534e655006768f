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
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		// Nobody is left to tell where the help itself cannot be written.
		_, _ = fmt.Fprint(cmd.OutOrStdout(), cmd.Long, "\n\nSettings:\n", loader.Help())
	})
	root.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loader.Load(os.Getenv)
		if err != nil {
			return err
		}
		return run(cmd.Context(), cfg)
	}
	root.AddCommand(migrate(), storageKey())
	return root
}

func migrate() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "migrate",
		Short: "Bring the schema of the PostgreSQL of database-url up to date",
		Long: "migrate brings the schema of the PostgreSQL of --database-url up to date, which no start does by itself:\n" +
			"run it once before servers of a newer version start. Two at once wait for each other.",
		Args: cobra.NoArgs,
	}
	withConfig(cmd, server.Migrate)
	return cmd
}

// run serves until SIGTERM or SIGINT. The second of them ends it at once.
func run(ctx context.Context, cfg config.Config) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	log := hclog.New(&hclog.LoggerOptions{
		Name: "headraced", Level: hclog.LevelFromString(cfg.LogLevel), JSONFormat: cfg.LogFormat == "json", Output: os.Stderr,
	})
	srv, err := server.New(ctx, cfg, server.Options{Version: version, Log: log})
	if err != nil {
		return err
	}
	return srv.Run(ctx)
}
