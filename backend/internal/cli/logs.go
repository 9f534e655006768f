package cli

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/headrace/terraform-provider-headrace/backend/client"
	headracev1 "github.com/headrace/terraform-provider-headrace/backend/gen/headrace/v1"
)

func (a *app) logsCommand() *cobra.Command {
	var follow bool
	command := &cobra.Command{
		Use:   "logs EXECUTION [ACTION]",
		Short: "Print the log of an action, or of all actions in turn",
		Long: `Print the log of an action, or of all actions in turn with a header each.

ACTION is Stage/Action, or the action's name where only one stage has it. With -f
the command goes on until the action, or the whole execution, ended.

A terminal gets the text and its colors, without what would move the cursor or
command the terminal otherwise. A file or pipe gets every byte as it was written.
As JSON each piece of a log is one object a line, with its data in base64.`,
		Args: cobra.RangeArgs(1, 2),
		RunE: a.call(func(ctx context.Context, c *client.Client, args []string) error {
			e, err := a.execution(ctx, c, args[0])
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return a.allLogs(ctx, c, e, follow)
			}
			_, action, err := findAction(e, args[1])
			if err != nil {
				return err
			}
			return a.tail(ctx, c, e.GetName(), action.GetId(), follow)
		}),
	}
	command.Flags().BoolVarP(&follow, "follow", "f", false, "go on until it ended")
	return command
}

// allLogs prints the log of each action, in the order of stages and actions.
// Following, it comes back to look for actions that started meanwhile.
func (a *app) allLogs(ctx context.Context, c *client.Client, e *headracev1.Execution, follow bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var updates <-chan update
	if follow && !terminal(e.GetStatus()) {
		updates = watch(ctx, c, e.GetName(), a.Backoff, a.Now)
	}
	printed := map[string]bool{}
	for {
		for _, stage := range e.GetStages() {
			for _, action := range stage.GetActions() {
				if !action.GetHasLog() || printed[action.GetId()] {
					continue
				}
				printed[action.GetId()] = true
				if !a.json() {
					a.out.linef("==> %s", place(stage.GetStage(), action.GetAction()))
				}
				if err := a.tail(ctx, c, e.GetName(), action.GetId(), follow); err != nil {
					return err
				}
			}
		}
		if !follow || terminal(e.GetStatus()) {
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

// tail prints the log of an action execution. A lost server is asked again from
// where its log broke off.
func (a *app) tail(ctx context.Context, c *client.Client, name, actionID string, follow bool) error {
	request := &headracev1.TailLogRequest{Name: name, ActionExecutionId: actionID, Follow: follow}
	show := a.showLog()
	defer func() { a.out.write(show(nil)) }()
	for try := 1; ; try++ {
		before := request.GetOffset()
		err := a.tailOnce(ctx, c, request, show)
		if err == nil || status.Code(err) != codes.Unavailable || ctx.Err() != nil {
			return err
		}
		if request.GetOffset() > before {
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
		request.Offset = piece.GetOffset() + int64(len(piece.GetData()))
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
