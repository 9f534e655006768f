package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob/seal"
	"github.com/headrace/terraform-provider-headrace/backend/internal/config"
	"github.com/headrace/terraform-provider-headrace/backend/internal/server"
)

func storageKey() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "storage-key",
		Short: "Create, rotate and replace the keys that encrypt artifacts, logs and secrets",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("storage-key needs a command: new, rotate or rewrap")
		},
	}
	cmd.AddCommand(newStorageKey(), rotateStorageKey(), rewrapStorageKey())
	return cmd
}

func newStorageKey() *cobra.Command {
	return &cobra.Command{
		Use:   "new FILE",
		Short: "Create a key file for storage-key",
		Long: "Create a key file for --storage-key. Only its owner can read the file. Keep a copy in a safe place: if\n" +
			"the key is lost, so is everything that it encrypts.",
		Example: "  headraced storage-key new /etc/headrace/storage.key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := seal.NewKeyFile(args[0]); err != nil {
				return fmt.Errorf("cannot create a key file: %w", err)
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "created %s; keep a copy in a safe place, because without the key the encrypted data is lost\n", args[0])
			return err
		},
	}
}

func rotateStorageKey() *cobra.Command {
	return operation(&cobra.Command{
		Use:   "rotate",
		Short: "Add a data key for new artifacts, logs and secrets",
		Long: "Add a data key. Servers use it for new artifacts, logs and secrets after their next start, and can still read\n" +
			"existing ones.",
		Example: "  headraced storage-key rotate --data-dir /var/lib/headrace --storage-key file:///etc/headrace/storage.key",
	}, func(ctx context.Context, cfg config.Config) (string, error) {
		return "added a data key; servers encrypt with it after their next start, and can still read existing data",
			server.RotateStorageKey(ctx, cfg)
	})
}

func rewrapStorageKey() *cobra.Command {
	var to string
	cmd := operation(&cobra.Command{
		Use:   "rewrap --to KEY",
		Short: "Encrypt the data keys with another key",
		Long: "Encrypt the data keys with another key. --storage-key is the current key, --to the new one. Set\n" +
			"storage-key of all servers to the new key before their next start.\n\n" +
			"Anyone who has the old key and an old copy of keys/ can still decrypt what exists. To protect\n" +
			"what is encrypted later, also run \"headraced storage-key rotate\".",
		Example: "  headraced storage-key rewrap --data-dir /var/lib/headrace --storage-key file:///etc/headrace/old.key \\\n" +
			"      --to file:///etc/headrace/new.key",
	}, func(ctx context.Context, cfg config.Config) (string, error) {
		return "encrypted the data keys with the new key; set storage-key to it before the next start of a server",
			server.RewrapStorageKey(ctx, cfg, to)
	})
	cmd.Flags().StringVar(&to, "to", "", "new key, in the same form as storage-key")
	return cmd
}
