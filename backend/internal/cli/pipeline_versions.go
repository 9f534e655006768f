package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/aymanbagabas/go-udiff"
	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) pipelineVersionsCommand() *cobra.Command {
	var limit int
	command := &cobra.Command{
		Use:     "versions PIPELINE",
		Short:   "List the versions of a pipeline, newest first",
		Example: `  headrace pipeline versions web`,
		Args:    cobra.ExactArgs(1),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			if limit < 1 || limit > 1000 {
				return usagef("--limit must be between 1 and 1000")
			}
			response, err := c.Pipelines.ListPipelineVersions(ctx, &headracev1.ListPipelineVersionsRequest{
				Parent: pipelineName(c, args[0]), PageSize: int32(limit),
			})
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			var rows [][]string
			for _, v := range response.GetVersions() {
				rows = append(rows, []string{
					fmt.Sprint(v.GetVersion()), timeText(v.GetCreateTime()), v.GetPrincipal(), v.GetDefinition().GetDescription(),
				})
			}
			a.out.table([]string{"VERSION", "PUBLISHED", "BY", "DESCRIPTION"}, rows)
			if response.GetNextPageToken() != "" {
				a.out.linef("These are the newest %d. For more, use --limit.", limit)
			}
			return nil
		}),
	}
	command.Flags().IntVar(&limit, "limit", 20, "how many versions to list")
	return command
}

func (a *app) pipelineDiffCommand() *cobra.Command {
	var unpublished bool
	command := &cobra.Command{
		Use:   "diff PIPELINE [FROM [TO]]",
		Short: "Show what differs between two versions of a pipeline",
		Long: `Show what differs between two versions of a pipeline, block by block. A value that is
written out and equals its default is not shown.

TO is the newest version unless you give another one. Without FROM, it is compared with the
version before it. With --unpublished, the stages and actions of a composed pipeline as they
are now are compared with the newest version, or with FROM.`,
		Example: `  headrace pipeline diff web
  headrace pipeline diff web 3 5
  headrace pipeline diff web --unpublished`,
		Args: cobra.RangeArgs(1, 3),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			if unpublished && len(args) > 2 {
				return usagef("--unpublished takes the place of the version TO: leave %s out", args[2])
			}
			request := &headracev1.DiffPipelineVersionsRequest{Name: pipelineName(c, args[0]), Unpublished: unpublished}
			for i, to := range []*int64{&request.FromVersion, &request.ToVersion} {
				if len(args) < i+2 {
					break
				}
				number, err := strconv.ParseInt(args[i+1], 10, 64)
				if err != nil || number < 1 {
					return usagef("%q is not a version: use a number from 1 on, as headrace pipeline versions %s lists them", args[i+1], args[0])
				}
				*to = number
			}
			response, err := c.Pipelines.DiffPipelineVersions(ctx, request)
			if err != nil {
				return err
			}
			if a.json() {
				return a.out.document(response)
			}
			a.showDiff(args[0], response)
			return nil
		}),
	}
	command.Flags().BoolVar(&unpublished, "unpublished", false, "compare with the parts of a composed pipeline as they are now")
	return command
}

// showDiff prints changes under the blocks that they belong to.
func (a *app) showDiff(pipeline string, diff *headracev1.DiffPipelineVersionsResponse) {
	to := fmt.Sprintf("version %d", diff.GetToVersion())
	if diff.GetUnpublished() {
		to = "the unpublished changes"
	}
	if len(diff.GetChanges()) == 0 {
		a.out.linef("%s: version %d and %s have no differences, or only defaults that are written out", pipeline, diff.GetFromVersion(), to)
		return
	}
	a.out.linef("%s: from version %d to %s", pipeline, diff.GetFromVersion(), to)
	block := ""
	for _, c := range diff.GetChanges() {
		if c.GetField() == "" {
			a.out.linef("%s", blockText(c))
			block = c.GetBlock()
			continue
		}
		if c.GetBlock() != block {
			block = c.GetBlock()
			a.out.linef("~ %s", block)
		}
		indent := "    "
		if block == "" {
			indent = "~ "
		}
		a.out.lines(fieldLines(indent, c))
	}
}

// blockText says what became of a whole block.
func blockText(c *headracev1.DefinitionChange) string {
	mark, detail := "+", c.GetAfter()
	switch c.GetKind() {
	case headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_REMOVED:
		mark, detail = "-", c.GetBefore()
	case headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_MOVED:
		return fmt.Sprintf("~ %s, moved from %s", c.GetBlock(), strings.Join(c.GetBefore(), ", "))
	default:
	}
	text := mark + " " + c.GetBlock()
	if len(detail) > 0 {
		text += " (" + oneLine(strings.Join(detail, ", ")) + ")"
	}
	return text
}

// fieldLines says how a field has changed: in a line if both values fit into one, and else line
// by line.
func fieldLines(indent string, c *headracev1.DefinitionChange) []string {
	before, after := oneLines(c.GetBefore()), oneLines(c.GetAfter())
	if len(before) <= 1 && len(after) <= 1 {
		switch c.GetKind() {
		case headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_ADDED:
			return []string{indent + c.GetField() + ": added " + quotedFirst(after)}
		case headracev1.DefinitionChangeKind_DEFINITION_CHANGE_KIND_REMOVED:
			return []string{indent + c.GetField() + ": removed " + quotedFirst(before)}
		default:
			return []string{indent + c.GetField() + ": " + quotedFirst(before) + " -> " + quotedFirst(after)}
		}
	}
	lines := []string{indent + c.GetField() + ":"}
	was, is := textOf(before), textOf(after)
	unified, err := udiff.ToUnified("", "", was, udiff.Lines(was, is), len(before)+len(after))
	if err != nil {
		// Edits of the text itself cannot fail to apply.
		return append(lines, append(before, after...)...)
	}
	// All of it is one hunk. The names of the files and the header of the hunk say nothing here.
	for n, line := range strings.Split(strings.TrimSuffix(unified, "\n"), "\n") {
		if n >= 3 {
			lines = append(lines, indent+"  "+line)
		}
	}
	return lines
}

// textOf ends each line.
func textOf(lines []string) string {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(line + "\n")
	}
	return text.String()
}

func oneLines(values []string) []string {
	lines := make([]string, len(values))
	for i, value := range values {
		lines[i] = oneLine(value)
	}
	return lines
}

// quotedFirst quotes the only value, so that an empty one is seen.
func quotedFirst(values []string) string {
	if len(values) == 0 {
		return "nothing"
	}
	return strconv.Quote(values[0])
}
