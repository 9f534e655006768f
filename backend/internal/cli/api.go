package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
)

func (a *app) apiCommand() *cobra.Command {
	var file string
	command := &cobra.Command{
		Use:   "api METHOD [REQUEST]",
		Short: "Call any method of the API",
		Long: `Call any method of the API with a request in JSON and print the response as JSON. A
streaming method prints one object per line.

Use it for methods that have no command. Pipelines, stages, actions and approval rules
are declared in Terraform.

Methods: ` + strings.Join(client.Methods(), ", ") + `.`,
		Example: `  headrace api GetPipeline '{"name": "accounts/default/pipelines/web"}'
  headrace api CreatePipeline --file pipeline.json
  headrace api PublishPipelineVersion '{"name": "accounts/default/pipelines/web"}'`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			request := []byte("{}")
			switch {
			case file != "" && len(args) == 2:
				return usagef("the request is given twice: as an argument and by --file")
			case file != "":
				var err error
				if request, err = os.ReadFile(file); err != nil {
					return usagef("read the request: %w", err)
				}
			case len(args) == 2:
				request = []byte(args[1])
			}
			err := c.Call(ctx, args[0], request, a.out.object)
			if errors.Is(err, client.ErrBadCall) {
				return usageError{err}
			}
			return err
		}),
	}
	command.Flags().StringVar(&file, "file", "", "file with the request, or /dev/stdin for standard input")
	return command
}
