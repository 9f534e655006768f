package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

func storageKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage-key",
		Short: "Make and change the keys that artifacts and logs are encrypted with",
	}
	cmd.AddCommand(newStorageKey(), rotateStorageKey(), rewrapStorageKey())
	return cmd
}

func newStorageKey() *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Make a key file for storage-key, which only its owner may read",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := seal.NewKeyFile(args[0]); err != nil {
				return fmt.Errorf("make a key file: %w", err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "made %s; keep a copy in a safe place: what is encrypted is lost with it\n", args[0])
			return err
		},
	}
}

func rotateStorageKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Add a data key, which servers encrypt with from their next start",
		Args:  cobra.NoArgs,
	}
	withConfig(cmd, func(ctx context.Context, cfg config.Config) (string, error) {
		return "added a data key; servers encrypt with it from their next start, and go on reading what is there",
			server.RotateStorageKey(ctx, cfg)
	})
	return cmd
}

func rewrapStorageKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rewrap --to KEY",
		Short: "Wrap the data keys by another key, which storage-key then has to name",
		Args:  cobra.NoArgs,
	}
	to := cmd.Flags().String("to", "", "the other key, in the form of storage-key")
	withConfig(cmd, func(ctx context.Context, cfg config.Config) (string, error) {
		return "wrapped the data keys by the other key; set storage-key to it before the next start of a server",
			server.RewrapStorageKey(ctx, cfg, *to)
	})
	return cmd
}

// withConfig makes a command that reads the settings of a server, does something once
// and says what it did.
func withConfig(cmd *cobra.Command, do func(context.Context, config.Config) (string, error)) {
	loader := config.NewLoader(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := loader.Load(os.Getenv)
		if err != nil {
			return err
		}
		told, err := do(cmd.Context(), cfg)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), told)
		return err
	}
}
