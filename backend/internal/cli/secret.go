package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

func (a *app) secretCommand() *cobra.Command {
	return group("secret", "Set, list and delete secrets", a.setSecretCommand(), a.listSecretsCommand(), a.showSecretCommand(), a.deleteSecretCommand())
}

func (a *app) setSecretCommand() *cobra.Command {
	var description, file string
	command := &cobra.Command{
		Use:   "set NAME",
		Short: "Create a secret or give it a new value",
		Long: "Create a secret, or give an existing one a new value.\n\n" +
			"The value is read from standard input, without the newline at its end. In a terminal, headrace asks for it\n" +
			"and does not show what is typed. With --from-file the value is the file as it is. A value has 1 byte to\n" +
			"64 KiB. Nobody can read it again.\n\n" +
			"Actions that start from then on get the new value.",
		Example: "  headrace secret set registry-token\n" +
			"  printf %s \"$TOKEN\" | headrace secret set registry-token --description \"Push to the registry\"\n" +
			"  headrace secret set deploy-key --from-file deploy.pem",
		Args: cobra.ExactArgs(1),
	}
	command.Flags().StringVar(&description, "description", "", "what the secret is for. If not set, an existing secret keeps its description")
	command.Flags().StringVar(&file, "from-file", "", "file that holds the value")
	command.RunE = a.call(func(ctx context.Context, c *client.Client, args []string) error {
		name, err := secretName(c, args[0])
		if err != nil {
			return err
		}
		value, err := a.secretValue(ctx, "secret "+name.Secret, file)
		if err != nil {
			return err
		}
		wanted := &headracev1.Secret{Name: name.String(), Description: description, Value: value}
		secret, err := setSecret(ctx, c, wanted, command.Flags().Changed("description"))
		if err != nil {
			return err
		}
		if a.json() {
			return a.out.document(secret)
		}
		a.out.linef("secret %s has version %d", name.Secret, secret.GetVersion())
		return nil
	})
	return command
}

// setSecret creates a secret or replaces its value, and the description if it is given.
func setSecret(ctx context.Context, c *client.Client, wanted *headracev1.Secret, describe bool) (*headracev1.Secret, error) {
	found, err := c.Secrets.GetSecret(ctx, &headracev1.GetSecretRequest{Name: wanted.GetName()})
	if client.IsNotFound(err) {
		created, err := c.Secrets.CreateSecret(ctx, &headracev1.CreateSecretRequest{Secret: wanted})
		return created.GetSecret(), err
	}
	if err != nil {
		return nil, err
	}
	if !describe {
		wanted.Description = found.GetSecret().GetDescription()
	}
	wanted.Etag = found.GetSecret().GetEtag()
	updated, err := c.Secrets.UpdateSecret(ctx, &headracev1.UpdateSecretRequest{Secret: wanted})
	return updated.GetSecret(), err
}

// secretValue reads a value, and checks it here so that the error is about where it came from.
func (a *app) secretValue(ctx context.Context, what, file string) (value []byte, err error) {
	from := "standard input"
	switch {
	case file != "":
		from = file
		if value, err = readBounded(file); err != nil {
			return nil, usageError{err}
		}
	case a.interactive() && a.ReadHidden != nil:
		a.err.write(fmt.Sprintf("Value of %s: ", what))
		value, err = a.ReadHidden(ctx)
		a.err.linef("")
		if err != nil {
			return nil, err
		}
		from = "the terminal"
	case a.Stdin != nil:
		if value, err = io.ReadAll(io.LimitReader(a.Stdin, pipeline.MaxSecretBytes+3)); err != nil {
			return nil, err
		}
		value = bytes.TrimSuffix(bytes.TrimSuffix(value, []byte("\n")), []byte("\r"))
	}
	if err := pipeline.CheckSecretValue(value); err != nil {
		return nil, usagef("%s: %w", from, err)
	}
	return value, nil
}

// readBounded reads a file, and one byte more than a value may have at most.
func readBounded(file string) ([]byte, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = opened.Close() }()
	return io.ReadAll(io.LimitReader(opened, pipeline.MaxSecretBytes+1))
}

func (a *app) listSecretsCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the secrets of the account, without their values",
		Example: `  headrace secret list`,
		Args:    cobra.NoArgs,
		RunE: a.call(func(ctx context.Context, c *client.Client, _ []string) error {
			all := &headracev1.ListSecretsResponse{}
			request := &headracev1.ListSecretsRequest{Parent: client.AccountName(c.Account)}
			for {
				page, err := c.Secrets.ListSecrets(ctx, request)
				if err != nil {
					return err
				}
				all.Secrets = append(all.Secrets, page.GetSecrets()...)
				if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
					break
				}
			}
			if a.json() {
				return a.out.document(all)
			}
			var rows [][]string
			for _, secret := range all.GetSecrets() {
				rows = append(rows, []string{
					client.Segment(secret.GetName(), "secrets"), fmt.Sprint(secret.GetVersion()), timeText(secret.GetValueTime()), secret.GetDescription(),
				})
			}
			a.out.table([]string{"SECRET", "VERSION", "VALUE SET", "DESCRIPTION"}, rows)
			return nil
		}),
	}
}

func (a *app) showSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "show NAME",
		Short:   "Show a secret without its value",
		Example: `  headrace secret show registry-token`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name, err := secretName(c, args[0])
			if err != nil {
				return err
			}
			response, err := c.Secrets.GetSecret(ctx, &headracev1.GetSecretRequest{Name: name.String()})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			secret := response.GetSecret()
			a.out.fields(
				"Secret", name.Secret, "Description", secret.GetDescription(), "Version", fmt.Sprint(secret.GetVersion()),
				"Value set", timeText(secret.GetValueTime()), "Created", timeText(secret.GetCreateTime()), "Updated", timeText(secret.GetUpdateTime()),
			)
			return nil
		}),
	}
}

func (a *app) deleteSecretCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete NAME",
		Short: "Delete a secret",
		Long: "Delete a secret. The server refuses it while the newest version of a pipeline uses the secret.\n" +
			"The value cannot be recovered.",
		Example: `  headrace secret delete registry-token`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			name, err := secretName(c, args[0])
			if err != nil {
				return err
			}
			if _, err := c.Secrets.DeleteSecret(ctx, &headracev1.DeleteSecretRequest{Name: name.String()}); err != nil {
				return err
			}
			if !a.json() {
				a.out.linef("deleted secret %s", name.Secret)
			}
			return nil
		}),
	}
}

// secretName reads the name of a secret, alone or as a resource name.
func secretName(c *client.Client, text string) (pipeline.SecretName, error) {
	name := pipeline.SecretName{Account: c.Account, Secret: text}
	if client.Segment(text, "secrets") != "" {
		var err error
		if name, err = pipeline.ParseSecretName(text); err != nil {
			return name, usageError{err}
		}
	}
	if err := pipeline.CheckSecret(name.Secret); err != nil {
		return name, usageError{err}
	}
	return name, nil
}
