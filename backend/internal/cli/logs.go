package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) logsCommand() *cobra.Command {
	var part logPart
	command := &cobra.Command{
		Use:   "logs EXECUTION [ACTION|RULE]",
		Short: "Print the logs of an execution",
		Long: `Print the log of an action, or of a rule that runs commands. Without ACTION or RULE,
print all logs of the execution, each with a header.

ACTION is Stage/Action, or the name of the action if only one stage has it. RULE is
Stage/condition/Rule, for example Deploy/before-entry/Smoke, or the part of it that is
unique. If an action was retried or a rule was checked again, the command prints the
newest log. To search in logs, use "headrace search".

On a terminal, the command prints the text and its colors and drops other control
sequences. A file or pipe gets every byte as it was written. With -o json, each piece of
a log is one object per line, with its data in base64.`,
		Example: `  headrace logs web Compile -f
  headrace logs web Compile --tail 50
  headrace logs web Compile --lines 120-131
  headrace logs web Compile --from 1048576
  headrace logs web#3 Deploy/before-entry/Smoke`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			if err := part.check(len(args)); err != nil {
				return err
			}
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			if err := checkLogs(e); err != nil {
				return err
			}
			if len(args) == 1 {
				return a.allLogs(ctx, c, e, part)
			}
			found, err := findLog(e, args[1])
			if err != nil {
				return err
			}
			if part.first > 0 {
				return a.lines(ctx, c, e.GetName(), found.id, part)
			}
			return a.tail(ctx, c, e.GetName(), found.id, part)
		}),
	}
	flags := command.Flags()
	flags.BoolVarP(&part.follow, "follow", "f", false, "keep printing until the action, or the whole execution, ends")
	flags.Int32Var(&part.lines, "tail", 0, "print the last `N` lines, 1 to 100000")
	flags.StringVar(&part.span, "lines", "", "print lines `A-B` of the log of ACTION or RULE, counted from 1; A prints one line, A- prints A and all later lines")
	flags.Int64Var(&part.from, "from", 0, "start at `BYTE` of the log of ACTION or RULE; a negative value counts from the end")
	return command
}

// logPart is the part of a log that is wanted.
type logPart struct {
	follow bool
	lines  int32
	from   int64
	// span is A, A-B or A-, which check reads: the first and the last line, 0 for the first if there is
	// none.
	span        string
	first, last int64
}

func (p *logPart) check(args int) error {
	if p.span != "" {
		if err := p.parseSpan(); err != nil {
			return err
		}
	}
	switch {
	case p.span != "" && (p.lines > 0 || p.from != 0 || p.follow):
		return usagef("--lines cannot be combined with --tail, --from or --follow")
	case p.span != "" && args == 1:
		return usagef("--lines requires an action or a rule")
	case p.lines < 0 || p.lines > 100_000:
		return usagef("--tail is %d: use 1 to 100000 lines", p.lines)
	case p.lines > 0 && p.from != 0:
		return usagef("--tail and --from both say where to begin: use one of them")
	case p.from != 0 && args == 1:
		return usagef("--from is a place in one log: name the action or rule")
	}
	return nil
}

// parseSpan reads which lines are wanted.
func (p *logPart) parseSpan() error {
	first, last, isRange := strings.Cut(p.span, "-")
	var errFirst, errLast error
	p.first, errFirst = strconv.ParseInt(first, 10, 64)
	switch {
	case !isRange:
		p.last = p.first
	case last == "":
		p.last = math.MaxInt64
	default:
		p.last, errLast = strconv.ParseInt(last, 10, 64)
	}
	if errFirst != nil || errLast != nil || p.first < 1 || p.last < p.first {
		return usagef("--lines is %q: use line numbers from 1, such as 120, 120-131 or 120-", p.span)
	}
	return nil
}

// logOf is what may have a log: an action or a rule.
type logOf struct {
	// name is Stage/Action or Stage/condition/Rule.
	name string
	// short are other words for it.
	short []string
	id    string
	// written tells whether there is a log.
	written, retried bool
}

// logsOf returns the actions and rules of an execution in the order in which they
// come.
func logsOf(e *headracev1.Execution) []logOf {
	var all []logOf
	for _, stage := range e.GetStages() {
		entry, rest := conditionsOf(stage)
		rules := func(conditions []*headracev1.ConditionExecution) {
			for _, condition := range conditions {
				for _, rule := range condition.GetRules() {
					all = append(all, logOf{
						name:  stage.GetStage() + "/" + kindText(condition.GetKind()) + "/" + rule.GetRule(),
						short: []string{rule.GetRule(), stage.GetStage() + "/" + rule.GetRule()},
						id:    rule.GetId(), written: rule.GetHasLog(),
					})
				}
			}
		}
		rules(entry)
		for _, action := range stage.GetActions() {
			all = append(all, logOf{
				name: place(stage.GetStage(), action.GetAction()), short: []string{action.GetAction()},
				id: action.GetId(), written: action.GetHasLog(), retried: action.GetRetried(),
			})
		}
		rules(rest)
	}
	return all
}

// conditionsOf returns those checked before the actions of a stage and those after.
func conditionsOf(stage *headracev1.StageExecution) (entry, rest []*headracev1.ConditionExecution) {
	for _, condition := range stage.GetConditions() {
		if condition.GetKind() == headracev1.ConditionKind_CONDITION_KIND_BEFORE_ENTRY {
			entry = append(entry, condition)
		} else {
			rest = append(rest, condition)
		}
	}
	return entry, rest
}

// findLog returns what a user's word names: the newest of that name.
func findLog(e *headracev1.Execution, word string) (logOf, error) {
	newest := map[string]logOf{}
	var all, found []string
	for _, log := range logsOf(e) {
		if _, again := newest[log.name]; !again {
			all = append(all, log.name)
			if slices.Contains(log.short, word) {
				found = append(found, log.name)
			}
		}
		newest[log.name] = log
	}
	if log, ok := newest[word]; ok {
		return log, nil
	}
	switch {
	case len(found) == 1:
		return newest[found[0]], nil
	case len(found) > 1:
		return logOf{}, usagef("%s has several of the name %q: use one of %s", label(e), word, strings.Join(found, ", "))
	case len(all) == 0:
		return logOf{}, fmt.Errorf("%s has not started an action yet", label(e))
	}
	return logOf{}, fmt.Errorf("%s has no action or rule %q so far: it has %s", label(e), word, strings.Join(all, ", "))
}

// allLogs prints the log of each action and rule, in the order in which they come.
// Following, it comes back to look for those that started meanwhile.
func (a *app) allLogs(ctx context.Context, c *client.Client, e *headracev1.Execution, part logPart) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var updates <-chan update
	if part.follow && !terminal(e.GetStatus()) {
		updates = watch(ctx, c, e.GetName(), a.Backoff, a.Now)
	}
	printed := map[string]bool{}
	for {
		for _, log := range logsOf(e) {
			if !log.written || printed[log.id] {
				continue
			}
			printed[log.id] = true
			if !a.json() {
				header := log.name
				if log.retried {
					header += " (retried)"
				}
				a.out.freshLine()
				a.out.linef("==> %s", header)
			}
			if err := a.tail(ctx, c, e.GetName(), log.id, part); err != nil {
				return err
			}
		}
		if !part.follow || terminal(e.GetStatus()) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case u, open := <-updates:
			if u.err != nil {
				return u.err
			}
			if !open {
				updates = nil
			}
		case <-time.After(refreshIdle):
		}
		latest, err := get(ctx, c, e.GetName())
		switch {
		case err == nil:
			e = latest
		case status.Code(err) != codes.Unavailable:
			return err
		}
	}
}

// tail prints the log of an action or rule execution. A lost server is asked again from
// where its log broke off.
func (a *app) tail(ctx context.Context, c *client.Client, name, actionID string, part logPart) error {
	request := &headracev1.TailLogRequest{
		Name: name, ActionExecutionId: actionID, Offset: part.from, TailLines: part.lines, Follow: part.follow,
	}
	show := a.showLog()
	defer func() { a.out.write(show(nil)) }()
	for try := 1; ; try++ {
		before := request.GetOffset()
		err := a.tailOnce(ctx, c, request, show)
		if err == nil || status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			return err
		}
		if request.GetOffset() != before {
			try = 1
		}
		if try > maxTries {
			return err
		}
		wait := a.Backoff(try)
		a.err.linef("headrace: lost headraced at %s; trying again in %s (%d of %d)", c.Endpoint, wait, try, maxTries)
		if err := sleep(ctx, wait); err != nil {
			return err
		}
	}
}

// linesPage is how many lines are asked for at once.
const linesPage = 5000

// lines prints some lines of a log.
func (a *app) lines(ctx context.Context, c *client.Client, name, actionID string, part logPart) error {
	show := a.showLog()
	defer func() { a.out.write(show(nil)) }()
	for next := part.first; next <= part.last; {
		page, err := c.Executions.ReadLog(ctx, &headracev1.ReadLogRequest{
			Name: name, ActionExecutionId: actionID, Start: &headracev1.ReadLogRequest_LineNumber{LineNumber: next},
			MaxLines: int32(min(linesPage, part.last-next+1)),
		})
		if err != nil {
			return err
		}
		if len(page.GetLines()) == 0 && next == part.first {
			stat, err := c.Executions.StatLog(ctx, &headracev1.StatLogRequest{Name: name, ActionExecutionId: actionID})
			if err != nil {
				return err
			}
			return fmt.Errorf("line %d does not exist: the log has %d lines", part.first, stat.GetLineCount())
		}
		if next == part.first && a.OnTerminal && !a.json() && page.GetSgr() != "" {
			a.out.write(show([]byte("\x1b[" + page.GetSgr() + "m")))
		}
		for _, line := range page.GetLines() {
			// Lines that the server's machine lost are left out.
			if line.GetNumber() > part.last {
				return nil
			}
			if err := a.line(ctx, c, name, actionID, line, show); err != nil {
				return err
			}
			next = line.GetNumber() + 1
		}
		if page.GetNextOffset() >= page.GetSizeBytes() {
			return nil
		}
	}
	return nil
}

// line prints a line of a log, all of it.
func (a *app) line(
	ctx context.Context, c *client.Client, name, actionID string, line *headracev1.LogLine, show func([]byte) string,
) error {
	if a.json() {
		return errors.Join(a.out.object(line), a.out.failure)
	}
	a.out.write(show(line.GetText()))
	end := line.GetOffset() + line.GetLength()
	for at := line.GetOffset() + int64(len(line.GetText())); at < end; {
		rest, err := c.Executions.ReadLog(ctx, &headracev1.ReadLogRequest{
			Name: name, ActionExecutionId: actionID, Start: &headracev1.ReadLogRequest_Offset{Offset: at},
			MaxBytes: int32(min(256<<10, end-at)),
		})
		if err != nil {
			return err
		}
		if len(rest.GetData()) == 0 {
			return errors.New("the log was removed while it was read")
		}
		a.out.write(show(rest.GetData()))
		at += int64(len(rest.GetData()))
	}
	a.out.write(show([]byte("\n")))
	return a.out.failure
}

// showLog returns a function that returns what to show of each piece of a log, and
// for nil what to show after its end.
func (a *app) showLog() func(piece []byte) string {
	if !a.OnTerminal || a.json() {
		return func(piece []byte) string { return string(piece) }
	}
	c := &cleaner{}
	if a.Terminal != nil && a.Getenv("NO_COLOR") == "" {
		_, _, c.colors = a.Terminal()
	}
	return func(piece []byte) string {
		if piece == nil {
			return c.end()
		}
		return c.clean(piece)
	}
}

// tailOnce prints one stream and leaves the request at what comes after it.
func (a *app) tailOnce(
	ctx context.Context, c *client.Client, request *headracev1.TailLogRequest, show func([]byte) string,
) error {
	stream, err := c.Executions.TailLog(ctx, request)
	if err != nil {
		return err
	}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		request.Offset, request.TailLines = piece.GetOffset()+int64(len(piece.GetData())), 0
		if a.json() {
			if err := a.out.object(piece); err != nil {
				return err
			}
		} else {
			a.out.write(show(piece.GetData()))
		}
		if a.out.failure != nil {
			return a.out.failure
		}
	}
}
