package main

import (
	"context"
	"fmt"

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
	return operation(&cobra.Command{
		Use:   "rotate",
		Short: "Add a data key, which servers encrypt with from their next start",
		Long:  "rotate adds a data key, which servers encrypt with from their next start; they go on reading what is there.",
	}, func(ctx context.Context, cfg config.Config) (string, error) {
		return "added a data key; servers encrypt with it from their next start, and go on reading what is there",
			server.RotateStorageKey(ctx, cfg)
	})
}

func rewrapStorageKey() *cobra.Command {
	var to string
	cmd := operation(&cobra.Command{
		Use:   "rewrap --to KEY",
		Short: "Wrap the data keys by another key, which storage-key then has to name",
		Long: "rewrap wraps the data keys, which --storage-key opens, by another key. Servers need it as their storage-key\n" +
			"from their next start. Whoever has the old key and a copy of keys/ from before still has the data keys, and\n" +
			"what they encrypt: that ends for what is new with storage-key rotate, and stays for what is there.",
	}, func(ctx context.Context, cfg config.Config) (string, error) {
		return "wrapped the data keys by the other key; set storage-key to it before the next start of a server",
			server.RewrapStorageKey(ctx, cfg, to)
	})
	cmd.Flags().StringVar(&to, "to", "", "the other key, in the form of storage-key")
	return cmd
}
