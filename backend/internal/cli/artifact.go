package cli

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) artifactCommand() *cobra.Command {
	return group("artifact", "List and get the artifacts of executions", a.artifactListCommand(), a.artifactGetCommand())
}

func (a *app) artifactListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list EXECUTION [ARTIFACT]",
		Short: "List the artifacts of an execution, or the files of one",
		Long: `List the artifacts of an execution with the actions that made them. With ARTIFACT, list
the files of that artifact. The server reads and verifies all of the artifact first.`,
		Example: `  headrace artifact list web
  headrace artifact list web#3 program`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			if len(args) == 2 {
				return a.listFiles(ctx, c, e.GetName(), args[1])
			}
			found, err := c.Executions.ListArtifacts(ctx, &headracev1.ListArtifactsRequest{Parent: e.GetName()})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(found)
			}
			var rows [][]string
			for _, made := range found.GetArtifacts() {
				by := "another execution"
				if made.GetAction() != "" {
					by = place(made.GetStage(), made.GetAction())
				}
				if made.GetRetried() {
					by += " (retried)"
				}
				of := made.GetArtifact()
				rows = append(rows, []string{of.GetName(), by, strconv.FormatInt(of.GetSizeBytes(), 10), of.GetDigest()})
			}
			a.out.table([]string{"ARTIFACT", "MADE BY", "BYTES", "SHA-256"}, rows)
			return nil
		}),
	}
}

// listFiles prints the files of an artifact.
func (a *app) listFiles(ctx context.Context, c *client.Client, execution, name string) error {
	all := &headracev1.ListArtifactFilesResponse{}
	request := &headracev1.ListArtifactFilesRequest{Name: execution, Artifact: name}
	for {
		page, err := c.Executions.ListArtifactFiles(ctx, request)
		if err != nil {
			return err
		}
		page.Files = append(all.GetFiles(), page.GetFiles()...)
		all = page
		if request.PageToken = page.GetNextPageToken(); request.PageToken == "" {
			break
		}
	}
	if a.json() {
		return a.out.document(all)
	}
	var rows [][]string
	for _, file := range all.GetFiles() {
		mode, path, size := fs.FileMode(file.GetMode())&fs.ModePerm, file.GetPath(), strconv.FormatInt(file.GetSizeBytes(), 10)
		switch {
		case file.GetDirectory():
			mode, path, size = mode|fs.ModeDir, path+"/", ""
		case file.GetLinkTarget() != "":
			mode, path, size = mode|fs.ModeSymlink, path+" -> "+file.GetLinkTarget(), ""
		}
		modified := ""
		if file.GetModifyTime() != nil {
			modified = timeText(file.GetModifyTime())
		}
		rows = append(rows, []string{mode.String(), size, modified, path})
	}
	a.out.table([]string{"MODE", "BYTES", "MODIFIED", "PATH"}, rows)
	if all.GetUnlistedCount() > 0 {
		a.err.linef("headrace: the artifact has %d more files that are not listed; get a file by its path, or the whole artifact", all.GetUnlistedCount())
	}
	return nil
}

// artifactGet is what is wanted of an artifact.
type artifactGet struct {
	request *headracev1.GetArtifactRequest
	// into is the file or directory, empty for the default.
	into           string
	tar, overwrite bool
}

func (a *app) artifactGetCommand() *cobra.Command {
	get := artifactGet{request: &headracev1.GetArtifactRequest{}}
	command := &cobra.Command{
		Use:   "get EXECUTION ARTIFACT [PATH]",
		Short: "Get an artifact of an execution, or a file of it",
		Long: `Get an artifact of an execution. Without PATH, the command makes a directory with the
files of the artifact, named for the artifact unless -o names another one. The directory
must be empty or not exist. With --tar, the command writes the artifact as a tar to the
file of -o, or to standard output.

With PATH, the command writes that file of the artifact to the file or directory of -o, or
to standard output.

The server verifies an artifact before it sends it, and the command verifies what it gets.
Nothing of a damaged artifact is kept. Symlinks that lead out of the artifact are left out.`,
		Example: `  headrace artifact get web program
  headrace artifact get web#3 program -o /tmp/program
  headrace artifact get web#3 program bin/web -o ./web
  headrace artifact get web#3 program --tar | tar -t`,
		Args: cobra.RangeArgs(2, 3),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			get.request.Artifact = args[1]
			if len(args) == 3 {
				get.request.Path = args[2]
			}
			if get.tar && get.request.GetPath() != "" {
				return usagef("--tar is for a whole artifact: remove --tar or %q", get.request.GetPath())
			}
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			get.request.Name = e.GetName()
			if err := a.getArtifact(ctx, c, get); err != nil {
				return fmt.Errorf("get artifact %s: %w", args[1], err)
			}
			return nil
		}),
	}
	flags := command.Flags()
	// It takes the place of the flag of all commands: this one prints nothing.
	flags.StringVarP(&get.into, "output", "o", "", "write to the file or directory `PATH`")
	flags.BoolVar(&get.tar, "tar", false, "write the artifact as a tar")
	flags.BoolVar(&get.overwrite, "overwrite", false, "replace files that exist, and use a directory that is not empty")
	return command
}
