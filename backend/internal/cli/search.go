package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) searchCommand() *cobra.Command {
	var (
		request headracev1.SearchLogsRequest
		last    int32
	)
	command := &cobra.Command{
		Use:   "search TEXT EXECUTION [ACTION|RULE]",
		Short: "Search the logs of an execution or of a pipeline's last executions",
		Long: `Search the logs of an execution for a text. Each matching line is printed with its
execution, its action or rule, and its line number. The server searches and sends only
the matches.

EXECUTION, ACTION and RULE are the same as for "headrace logs". With --last N, EXECUTION
is the name of a pipeline, and the command searches the logs of its last N executions,
newest first.

With -E, TEXT is a regular expression in RE2 syntax. A pattern cannot match across
lines. With -w, letters, digits and underscores must not be next to the match. With -v,
the command prints the lines that do not match. The exit code is 1 if no line matches.`,
		Example: `  headrace search 'connection refused' web
  headrace search -E 'timeout after [0-9]+s' web#3 Deploy/Ship --context 3
  headrace search -i error web --last 20`,
		Args: cobra.RangeArgs(2, 3),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			request.Pattern = args[0]
			if err := a.searchParent(ctx, c, &request, args[1:], last); err != nil {
				return err
			}
			return a.search(ctx, c, &request)
		}),
	}
	flags := command.Flags()
	flags.BoolVarP(&request.RegularExpression, "regexp", "E", false, "treat TEXT as a regular expression")
	flags.BoolVarP(&request.IgnoreCase, "ignore-case", "i", false, "ignore upper and lower case")
	flags.BoolVarP(&request.WholeWord, "word", "w", false, "match whole words only")
	flags.BoolVarP(&request.Invert, "invert", "v", false, "print the lines that do not match")
	flags.Int32VarP(&request.ContextLines, "context", "C", 0, "print `N` lines before and after each match, 0 to 10")
	flags.Int32Var(&request.MaxMatches, "max", 0, "stop after `N` matches, 1 to 10000 (default 1000)")
	flags.Int32Var(&last, "last", 0, "search the last `N` executions of the pipeline, 1 to 100")
	return command
}

// searchParent sets what is searched.
func (a *app) searchParent(ctx context.Context, c *client.Client, request *headracev1.SearchLogsRequest, args []string, last int32) error {
	if last != 0 {
		if last < 0 || last > pageSize {
			return usagef("--last is %d: use 1 to %d executions", last, pageSize)
		}
		if len(args) > 1 {
			return usagef("--last searches all logs of its executions: leave %q away, or --last", args[1])
		}
		request.Parent, request.MaxExecutions = pipelineName(c, args[0]), last
		return nil
	}
	e, err := a.execution(ctx, c, args[0])
	if err != nil {
		return err
	}
	request.Parent = e.GetName()
	if len(args) > 1 {
		found, err := findLog(e, args[1])
		if err != nil {
			return err
		}
		request.ActionExecutionId = found.id
	}
	return nil
}

func (a *app) search(ctx context.Context, c *client.Client, request *headracev1.SearchLogsRequest) error {
	stream, err := c.Executions.SearchLogs(ctx, request)
	if err != nil {
		return err
	}
	var summary *headracev1.LogSearchSummary
	for first := true; ; first = false {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if response.GetSummary() != nil {
			summary = response.GetSummary()
		}
		switch {
		case a.json():
			if err := a.out.object(response); err != nil {
				return err
			}
		case response.GetMatch() != nil:
			a.showMatch(response.GetMatch(), request.GetContextLines() > 0 && !first)
		}
		if a.out.failure != nil {
			return a.out.failure
		}
	}
	if summary.GetIncomplete() != "" {
		a.err.linef("headrace: not all was searched: %s", harmless(summary.GetIncomplete()))
	}
	if summary.GetMatchCount() == 0 {
		return fmt.Errorf("no line matches in %d logs of %d bytes", summary.GetSearchedLogs(), summary.GetSearchedBytes())
	}
	return nil
}

// showMatch prints a match as grep does: a colon after the number of its line, a dash
// after those around it, which are apart from the match before.
func (a *app) showMatch(m *headracev1.LogMatch, apart bool) {
	if apart {
		a.out.linef("--")
	}
	what := m.GetAction()
	if m.GetRule() != "" {
		what = kindText(m.GetCondition()) + "/" + m.GetRule()
	}
	where := fmt.Sprintf("%s#%d %s", client.Segment(m.GetExecution(), "pipelines"), m.GetExecutionNumber(), place(m.GetStage(), what))
	number := m.GetLineNumber() - int64(len(m.GetLinesBefore()))
	line := func(mark string, text []byte) {
		a.out.linef("%s:%d%s %s", where, number, mark, harmless(string(text)))
		number++
	}
	for _, text := range m.GetLinesBefore() {
		line("-", text)
	}
	line(":", m.GetLine())
	for _, text := range m.GetLinesAfter() {
		line("-", text)
	}
}
